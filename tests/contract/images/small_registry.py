"""A registry that holds one image: as much of the distribution API as an engine asks for when it pulls."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@contextmanager
def small_registry(repository: str) -> Iterator[tuple[str, str]]:
    """Serves `repository:1` on 127.0.0.1 while the block lasts; yields its address and the image's digest."""
    blobs, manifest = _image()
    digest = _digest(manifest)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            base = f"/v2/{repository}"
            if self.path == "/v2/":
                self._answer(b"{}", "application/json")
            elif self.path in (f"{base}/manifests/1", f"{base}/manifests/{digest}"):
                self._answer(manifest, MANIFEST)
            elif self.path.removeprefix(f"{base}/blobs/") in blobs:
                self._answer(blobs[self.path.removeprefix(f"{base}/blobs/")], "application/octet-stream")
            else:
                body = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
                self._answer(body, "application/json", 404)

        do_HEAD = do_GET  # noqa: N815 - the standard library's name

        def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            if kind == MANIFEST:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", digest
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _image() -> tuple[dict[str, bytes], bytes]:
    """One file in one layer."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("greeting")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    layer = gzip.compress(file.getvalue())
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(file.getvalue())]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)}],
    }
    return {_digest(layer): layer, _digest(config): config}, json.dumps(manifest).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
