"""The admin API of a running service is called beside its proxies, with a token that nobody else gets to see."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.design import Design, Metadata, Service
from crashcart.model.errors import CrashcartError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Instance, Topology
from crashcart.runtimes.spec import SpawnSpec, write_spec
from crashcart.safety.worlds import EndingWorld

TOKEN = "not-to-be-seen"
DESIGN = Design(
    "crashcart/v1", "Design", Metadata("small"), {"door": Service(entry=True, links=("psp",)), "psp": Service()}
)
SETTINGS: dict[str, Any] = {
    "service": "psp",
    "method": "POST",
    "path": "/admin/behaviour",
    "body": {"fail_share": 0.5},
    "undo": {"method": "DELETE", "path": "/admin/behaviour"},
    "counted": {"part": 'calls_total{outcome="bad"}', "of": "calls_total", "share": 0.5},
}
KIND = registry()["http/admin"]


class Admin:
    """A service with an admin API, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answer = 200
        admin = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                admin.asked.append((self.command, self.path, body))
                # as frameworks do whose error pages show the request
                said = str(self.headers).encode() if admin.answer >= 400 else b"{}"
                self.send_response(admin.answer if allowed else 401)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def do_DELETE(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def admin() -> Iterator[Admin]:
    made = Admin()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def topology(admin: Admin, tmp_path: Path) -> Topology:
    spec_file = tmp_path / "psp.json"
    write_spec(spec_file, SpawnSpec("psp[0]", ("x",), {"ADMIN_TOKEN": TOKEN}, "/", "/dev/null"))
    instance = Instance("psp[0]", "psp", "process", admin.address, None, "", "", str(spec_file))
    return Topology("run", str(tmp_path), "/p", (instance,), (), "", "")


def _step(topology: Topology) -> Step:
    settings = decode_settings(KIND, SETTINGS)
    planned = PlannedFault(
        "f1", KIND.kind, SETTINGS, "", KIND.targets(settings, DESIGN), (), (), 0.0, 10.0, Effect("counted")
    )
    (step,) = KIND.steps(settings, planned, topology)
    return step


def test_it_is_told_and_untold_with_the_runs_token(admin: Admin, topology: Topology) -> None:
    step = _step(topology)
    KIND.apply(step, EndingWorld(topology))
    for _ in range(2):
        KIND.undo(step, EndingWorld(topology))
    assert admin.asked == [
        ("POST", "/admin/behaviour", json.dumps({"fail_share": 0.5})),
        *[("DELETE", "/admin/behaviour", "")] * 2,
    ]


def test_the_token_stands_in_no_step(topology: Topology) -> None:
    assert TOKEN not in json.dumps(_step(topology).data)


def test_a_refusal_is_an_error_that_names_the_call_and_not_the_token(admin: Admin, topology: Topology) -> None:
    admin.answer = 422
    with pytest.raises(CrashcartError, match=r"psp\[0\] POST /admin/behaviour: status 422") as refused:
        KIND.apply(_step(topology), EndingWorld(topology))
    assert "Bearer ***" in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_who_does_not_answer_is_named_and_nobody_restarts_the_proxies_for_it(admin: Admin, topology: Topology) -> None:
    step = _step(topology)
    admin.server.shutdown()
    admin.server.server_close()
    with pytest.raises(CrashcartError, match=r"psp\[0\] DELETE .*no answer") as refused:
        KIND.undo(step, EndingWorld(topology))
    assert type(refused.value) is CrashcartError
