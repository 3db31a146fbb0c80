"""A live Grafana, narrowly: a folder, a data source, dashboards, and annotations of runs, through `grafana-client`.

That client is in the extra `grafana` alone: what it stands on replaces `urllib3` for all else in its environment.
The token is sent in a header and shown nowhere. Whatever goes wrong is one UsageError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from html import escape
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from crashcart.model.errors import UsageError
from crashcart.model.recording import Event, Manifest
from crashcart.model.verdict import Verdict

TOKEN_VARIABLE = "GRAFANA_TOKEN"
TAG = "crashcart"
TIMEOUT_S = 10.0
MOST_NOTES = 1000
"""Of one run: more than the 200 marks that it may have, with all its faults."""

_NO_CLIENT = "grafana-client is not installed here"
_HOW_TO_GET = (
    "make it an environment of its own: python3 -m venv .venv-grafana && .venv-grafana/bin/pip install '.[grafana]'"
)
_OUR_TOKEN = f"put the token of a service account into {TOKEN_VARIABLE}, with the role Editor (Admin for a data source)"

T = TypeVar("T")


class Note(msgspec.Struct, frozen=True):
    """One annotation: milliseconds since 1970, equal where it is a moment; `text` is HTML."""

    start_ms: int
    end_ms: int
    text: str
    tags: tuple[str, ...]


def notes_of(manifest: Manifest, events: Iterable[Event], verdict: Verdict) -> list[Note]:
    """A finished run: itself with its verdict, the time of each fault, and the marks that people made."""
    start_ms, end_ms = _ms(manifest.started_wall), _ms(manifest.finished_wall)
    outcome = verdict.outcome.value
    words = escape(f"{verdict.title}: {outcome.upper()}. {verdict.headline}")
    notes = [Note(start_ms, end_ms, words, (f"experiment:{verdict.experiment}", f"verdict:{outcome}"))]
    titles = {one.fault: one.title for one in verdict.evidence}
    broken: dict[str, int] = {}
    for event in events:
        at_ms = _ms(event.wall)
        if event.event == "fault-injected":
            broken[event.data["fault"]] = at_ms
        elif event.event == "fault-undone" and event.data["fault"] in broken:
            fault = event.data["fault"]
            notes.append(_fault(titles.get(fault, fault), broken.pop(fault), at_ms))
        elif event.event == "mark":
            notes.append(Note(at_ms, at_ms, escape(str(event.data["text"])), ("mark",)))
    return notes + [_fault(titles.get(fault, fault), at_ms, max(at_ms, end_ms)) for fault, at_ms in broken.items()]


def _fault(title: str, start_ms: int, end_ms: int) -> Note:
    return Note(start_ms, end_ms, escape(f"fault: {title}"), ("fault",))


def _ms(wall: str) -> int:
    return round(datetime.fromisoformat(wall).timestamp() * 1000)


class Grafana:
    """One Grafana, asked with one token. Every method can be called again: it replaces what it made before."""

    def __init__(self, url: str, token: str) -> None:
        """Nothing is asked yet. UsageError: no client, no such URL, no such token."""
        parts = _checked(url)
        if not token:
            raise UsageError(f"{TOKEN_VARIABLE} is not set", remedy=_OUR_TOKEN)
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise UsageError(
                f"{TOKEN_VARIABLE} holds no token: there are spaces or other signs in it", remedy=_OUR_TOKEN
            )
        try:
            from grafana_client import GrafanaApi
        except ImportError as missing:
            raise UsageError(_NO_CLIENT, remedy=_HOW_TO_GET) from missing
        self._url = url
        self._token = token
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        path = parts.path.strip("/")
        self._api = GrafanaApi(
            auth=token,
            host=host,
            port=parts.port,
            protocol=parts.scheme,
            url_path_prefix=f"{path}/" if path else "",
            timeout=TIMEOUT_S,
        )
        self._api.client.s.max_redirects = 0  # a POST that is redirected comes out as a GET that does nothing

    def version(self) -> str:
        """What it says it is; without a token that it accepts this goes too."""
        told = self._ask("say what it is", lambda: self._api.client.GET("/health"))
        if not isinstance(told, dict) or "database" not in told:
            raise self._error("what answers there is not Grafana", "give the address at which you open Grafana")
        return str(told.get("version", "of an unknown version"))

    def put_folder(self, uid: str, title: str) -> None:
        """There is a folder of that uid; one that is there keeps its title."""
        if self._found("look for the folder", lambda: self._api.folder.get_folder(uid)) is None:
            self._ask("make the folder", lambda: self._api.folder.create_folder(title, uid=uid))

    def put_prometheus(self, uid: str, name: str, url: str, scrape_interval: str) -> None:
        """There is a data source of that uid that asks the Prometheus at `url`, as Grafana reaches it."""
        _checked(url)
        source = {
            "uid": uid,
            "name": name,
            "type": "prometheus",
            "access": "proxy",
            "url": url,
            "jsonData": {"timeInterval": scrape_interval, "httpMethod": "POST"},
        }
        sources = self._api.datasource
        if self._found("look for the data source", lambda: sources.get_datasource_by_uid(uid)) is None:
            self._ask("make the data source", lambda: sources.create_datasource(source))
        else:
            self._ask("change the data source", lambda: sources.update_datasource_by_uid(uid, source))

    def put_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str) -> str:
        """This dashboard is in that folder, whatever was there under its uid; gives its address."""
        wanted = {"dashboard": {**dashboard, "id": None}, "folderUid": folder_uid, "overwrite": True, "message": TAG}
        title = dashboard["title"]
        told = self._ask(f"take the dashboard {title}", lambda: self._api.dashboard.update_dashboard(wanted))
        if not isinstance(told, dict) or not isinstance(told.get("url"), str):
            raise self._error(f"it did not say where the dashboard {title} is now")
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}{told['url']}"

    def put_notes(self, run: str, notes: Sequence[Note]) -> None:
        """These are the annotations of that run, in place of those it had."""
        tags = (TAG, f"run:{run}")
        known = self._ask(
            "tell its annotations",
            lambda: self._api.annotations.find_annotations(
                ann_type="annotation", tags=[quote(tag, safe="") for tag in tags], limit=MOST_NOTES
            ),
        )
        for note in notes:
            self._ask("take an annotation", partial(self._add, note, tags))
        for old in known or ():
            self._found("remove an annotation", partial(self._api.annotations.delete_annotations_by_id, old["id"]))

    def _add(self, note: Note, tags: tuple[str, ...]) -> Any:
        return self._api.annotations.add_annotation(
            time_from=note.start_ms, time_to=note.end_ms, tags=[*tags, *note.tags], text=note.text
        )

    def _found(self, what: str, ask: Callable[[], Any]) -> dict[str, Any] | None:
        told = self._ask(what, ask, none_at=404)
        if told is not None and not isinstance(told, dict):
            raise self._error(f"what answers there is not Grafana: asked to {what} it gave no JSON")
        return told

    def _ask(self, what: str, ask: Callable[[], T], *, none_at: int | None = None) -> T | None:
        from grafana_client.client import GrafanaException
        from niquests.exceptions import JSONDecodeError, RequestException, TooManyRedirects

        try:
            return ask()
        except GrafanaException as refused:
            if refused.status_code == none_at and isinstance(refused.response, dict):
                return None
            raise self._refusal(what, refused.status_code, refused.response) from None
        except TooManyRedirects:
            raise self._error(
                "it sends us elsewhere", "give the address that it ends at, https and path included"
            ) from None
        except JSONDecodeError:
            raise self._error(f"what answers there is not Grafana: asked to {what} it gave no JSON") from None
        except (RequestException, OSError) as problem:
            raise self._error(
                f"can not be reached: {self._clean(problem)}", "is it up, and is this its address?"
            ) from None

    def _refusal(self, what: str, status: int, response: Any) -> UsageError:
        if status == 0:
            return self._error(f"it did not {what} within {TIMEOUT_S:g} s", "try again when it has less to do")
        if status == 401:
            return self._error(f"it does not accept the token in {TOKEN_VARIABLE}", _OUR_TOKEN)
        if status == 403:
            return self._error(f"the token may not {what}", "give its service account the role Admin")
        if not isinstance(response, dict):
            return self._error(f"what answers there is not Grafana: asked to {what} it gave {status}")
        return self._error(f"it did not {what}: {status} {self._clean(response.get('message', ''))}")

    def _clean(self, said: object) -> str:
        """Words of somebody else on one line, bounded, and without our token, wherever they have it from."""
        return " ".join(str(said).replace(self._token, "…").split())[:300]

    def _error(self, what: str, remedy: str = "") -> UsageError:
        return UsageError(f"Grafana: {what}", where=self._url, remedy=remedy)


def _checked(url: str) -> Any:
    """The parts of an http address. UsageError, which does not show what may be a password in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.username or parts.password:
        what = "an address with a user or a password in it is not taken: it would be seen in the list of processes"
        raise UsageError(what, remedy=f"leave them out; {_OUR_TOKEN}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or port == 0:
        raise UsageError(f"{url!r} is not an address like http://127.0.0.1:3000")
    return parts
