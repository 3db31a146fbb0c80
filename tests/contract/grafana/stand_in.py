"""A small stand-in of Grafana's HTTP API, at the wire: what `crashcart dashboards push` asks, answered as Grafana does.

It keeps folders, data sources, dashboards and annotations, and checks the token and what it may do. Answers, statuses
and words are those of Grafana's documentation of its HTTP API (versions 11 and 12). It is not Grafana: whether a
dashboard can be drawn is not known here.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_made-up-for-tests"
Answer = tuple[int, Any]


@dataclass
class StandIn:
    """Its state. `prefix` is where a proxy has it, such as `/grafana`; `may_not` are permissions the token lacks."""

    prefix: str = ""
    may_not: set[str] = field(default_factory=set)
    broken: Callable[[str], Answer | None] = lambda _path: None
    """What answers in its place, for paths that it gives an answer for."""
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    datasources: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def answer(self, method: str, target: str, token: str, body: Any) -> Answer:
        parts = urlsplit(target)
        path = parts.path.removeprefix(self.prefix)
        self.asked.append(f"{method} {parts.path}")
        if not parts.path.startswith(f"{self.prefix}/api/"):
            return 404, "<html>not found</html>"
        if (instead := self.broken(path)) is not None:
            return instead
        if path == "/api/health":
            return 200, {"commit": "0000000", "database": "ok", "version": "12.1.0"}
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key" if token else "Unauthorized"}
        for verb, pattern, permission, serve in self._routes():
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                if permission in self.may_not:
                    needed = (
                        f"You'll need additional permissions to perform this action. Permissions needed: {permission}"
                    )
                    return 403, {"title": "Access denied", "message": needed, "accessErrorId": "ACE0123456789"}
                return serve(found.groups(), body, parse_qs(parts.query))
        return 404, {"message": "Not found"}

    def _routes(self) -> list[tuple[str, str, str, Callable[[tuple[str, ...], Any, dict[str, list[str]]], Answer]]]:
        return [
            ("GET", r"/api/folders/([^/]+)", "folders:read", self._get_folder),
            ("POST", r"/api/folders", "folders:create", self._make_folder),
            ("GET", r"/api/datasources/uid/([^/]+)", "datasources:read", self._get_datasource),
            ("POST", r"/api/datasources", "datasources:create", self._make_datasource),
            ("PUT", r"/api/datasources/uid/([^/]+)", "datasources:write", self._change_datasource),
            ("POST", r"/api/dashboards/db", "dashboards:write", self._put_dashboard),
            ("GET", r"/api/annotations", "annotations:read", self._find_annotations),
            ("POST", r"/api/annotations", "annotations:create", self._add_annotation),
            ("DELETE", r"/api/annotations/(\d+)", "annotations:delete", self._remove_annotation),
        ]

    def _get_folder(self, names: tuple[str, ...], _body: Any, _query: Any) -> Answer:
        folder = self.folders.get(names[0])
        return (200, folder) if folder else (404, {"message": "folder not found", "status": "not-found"})

    def _make_folder(self, _names: Any, body: Any, _query: Any) -> Answer:
        if not body.get("title"):
            return 400, {"message": "folder title cannot be empty"}
        if body["uid"] in self.folders:
            return 409, {"message": "a folder with the same UID already exists"}
        self.folders[body["uid"]] = {"id": next(self._numbers), "version": 1, **body}
        return 200, self.folders[body["uid"]]

    def _get_datasource(self, names: tuple[str, ...], _body: Any, _query: Any) -> Answer:
        source = self.datasources.get(names[0])
        return (200, source) if source else (404, {"message": "Data source not found"})

    def _make_datasource(self, _names: Any, body: Any, _query: Any) -> Answer:
        if any(body["name"] == source["name"] for source in self.datasources.values()):
            return 409, {"message": "data source with the same name already exists"}
        source = self.datasources[body["uid"]] = {"id": next(self._numbers), "version": 1, "readOnly": False, **body}
        return 200, {"datasource": source, "id": source["id"], "message": "Datasource added", "name": source["name"]}

    def _change_datasource(self, names: tuple[str, ...], body: Any, _query: Any) -> Answer:
        source = self.datasources.get(names[0])
        if source is None:
            return 404, {"message": "Data source not found"}
        source |= {**body, "version": source["version"] + 1}
        return 200, {"datasource": source, "id": source["id"], "message": "Datasource updated", "name": source["name"]}

    def _put_dashboard(self, _names: Any, body: Any, _query: Any) -> Answer:
        new = body["dashboard"]
        if not new.get("title"):
            return 400, {"message": "Dashboard title cannot be empty", "status": "empty-name"}
        if len(new["uid"]) > 40:
            return 400, {"message": "uid too long, max 40 characters"}
        if body.get("folderUid") not in self.folders:
            return 400, {"message": "folder not found"}
        old = self.dashboards.get(new["uid"])
        if old and not body.get("overwrite") and new.get("version") != old["dashboard"]["version"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        version = old["dashboard"]["version"] + 1 if old else 1
        number = old["dashboard"]["id"] if old else next(self._numbers)
        slug = re.sub(r"[^a-z0-9]+", "-", new["title"].lower())
        url = f"{self.prefix}/d/{new['uid']}/{slug}"
        self.dashboards[new["uid"]] = {
            "dashboard": {**new, "id": number, "version": version},
            "meta": {"folderUid": body["folderUid"], "url": url},
        }
        return 200, {"id": number, "uid": new["uid"], "url": url, "status": "success", "version": version, "slug": slug}

    def _find_annotations(self, _names: Any, _body: Any, query: dict[str, list[str]]) -> Answer:
        wanted = set(query.get("tags", []))
        found = [one for one in self.annotations.values() if wanted <= set(one["tags"])]
        return 200, found[: int(query.get("limit", ["100"])[0])]

    def _add_annotation(self, _names: Any, body: Any, _query: Any) -> Answer:
        if not body.get("text"):
            return 400, {"message": "Failed to save annotation", "error": "text field should not be empty"}
        number = next(self._numbers)
        self.annotations[number] = {"id": number, **body}
        return 200, {"message": "Annotation added", "id": number}

    def _remove_annotation(self, names: tuple[str, ...], _body: Any, _query: Any) -> Answer:
        if self.annotations.pop(int(names[0]), None) is None:
            return 404, {"message": "Could not find annotation to update"}
        return 200, {"message": "Annotation deleted"}


@contextmanager
def listening(grafana: StandIn) -> Iterator[StandIn]:
    """It answers at `grafana.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, told = grafana.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            text = told if isinstance(told, str) else json.dumps(told)
            self.send_response(status)
            kind = "text/html" if isinstance(told, str) else "application/json"
            self.send_header("Content-Type", f"{kind}; charset=UTF-8")
            self.send_header("Content-Length", str(len(text.encode())))
            if status in (301, 302):
                self.send_header("Location", str(told))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the standard library's names

        def log_message(self, format: str, *_args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    grafana.url = f"http://127.0.0.1:{server.server_port}{grafana.prefix}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
