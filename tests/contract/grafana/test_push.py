"""`crashcart dashboards push`, as a process with the real client, against a stand-in of Grafana at the wire."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.model.recording import Event
from crashcart.model.verdict import Outcome
from tests.contract.grafana.conftest import ROOT
from tests.contract.grafana.stand_in import TOKEN, Answer, StandIn, listening
from tests.unit.shelf.made import a_verdict, record

PROMETHEUS = "http://prometheus:9090"
RUN = "20261122T080000Z-aaaa"
EVENTS = (
    Event(30.0, "2026-11-22T08:00:30.000Z", "fault-injected", {"fault": "f1", "took_s": 0.01}),
    Event(35.0, "2026-11-22T08:00:35.000Z", "mark", {"text": "pager went off <img src=x>"}),
    Event(40.0, "2026-11-22T08:00:40.000Z", "fault-injected", {"fault": "f2", "took_s": 0.01}),
    Event(50.25, "2026-11-22T08:00:50.250Z", "fault-undone", {"fault": "f1", "took_s": 0.01}),
)
"""A run whose second fault was never undone."""
Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = record(tmp_path / "runs", RUN, a_verdict(Outcome.FAIL))
    (folder / "events.jsonl").write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in EVENTS))
    return folder


@pytest.fixture
def push(python_with_client: Path) -> Push:
    """Runs the command with a token in its environment."""

    def call(
        url: str, *arguments: str, token: str | None = TOKEN, project: Path = ROOT, python: Path = python_with_client
    ) -> subprocess.CompletedProcess[str]:
        dropped = ("GRAFANA_TOKEN", "HTTP_PROXY", "http_proxy")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        command = [str(python), "-m", "crashcart", "--project", str(project), "dashboards", "push"]
        done = subprocess.run(
            [*command, "--grafana", url, "--prometheus", PROMETHEUS, *arguments],
            cwd=ROOT,
            env=environment | ({} if token is None else {"GRAFANA_TOKEN": token}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        if token:
            assert token not in done.stdout + done.stderr
        return done

    return call


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one error: a sentence, and at most a remedy."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("crashcart: ")
    assert len(done.stderr.splitlines()) <= 2
    return done.stderr


def test_everything_is_there_afterwards(grafana: StandIn, push: Push) -> None:
    done = push(grafana.url)
    assert done.returncode == 0, done.stderr
    assert [folder["title"] for folder in grafana.folders.values()] == ["crashcart"]
    [source] = grafana.datasources.values()
    assert (source["type"], source["url"], source["access"]) == ("prometheus", PROMETHEUS, "proxy")
    assert source["jsonData"]["timeInterval"] == "1s"
    committed = {board["uid"]: board for board in committed_dashboards()}
    assert grafana.dashboards.keys() == committed.keys()
    for uid, kept in grafana.dashboards.items():
        assert kept["meta"]["folderUid"] == "crashcart"
        assert kept["dashboard"]["panels"] == committed[uid]["panels"]
        assert f"{grafana.url}{kept['meta']['url']}" in done.stdout


def test_pushed_again_it_replaces_and_adds_nothing(grafana: StandIn, push: Push, recording: Path) -> None:
    for _ in range(2):
        done = push(grafana.url, "--run", str(recording))
        assert done.returncode == 0, done.stderr
    assert (len(grafana.folders), len(grafana.datasources), len(grafana.dashboards)) == (1, 1, 4)
    assert [kept["dashboard"]["version"] for kept in grafana.dashboards.values()] == [2] * 4
    assert [source["version"] for source in grafana.datasources.values()] == [2]
    assert len(grafana.annotations) == 4


def test_a_run_is_shown_with_its_faults_and_marks(grafana: StandIn, push: Push, recording: Path) -> None:
    assert push(grafana.url, "--run", str(recording)).returncode == 0
    notes = sorted((one["time"], one["timeEnd"], one["text"]) for one in grafana.annotations.values())
    t0 = round(datetime(2026, 11, 22, 8, tzinfo=UTC).timestamp() * 1000)
    assert notes == [
        (t0, t0 + 90_000, "The shelf is gone: FAIL. Fail: as it was made up."),
        (t0 + 30_000, t0 + 50_250, "fault: door.shelf is down"),
        (t0 + 35_000, t0 + 35_000, "pager went off &lt;img src=x&gt;"),
        (t0 + 40_000, t0 + 90_000, "fault: f2"),
    ]
    assert all({"crashcart", f"run:{RUN}"} <= set(one["tags"]) for one in grafana.annotations.values())


def test_one_that_a_proxy_has_below_a_path_is_found(push: Push) -> None:
    with listening(StandIn(prefix="/tools/grafana")) as grafana:
        for url in (grafana.url, f"{grafana.url}/"):
            assert push(url).returncode == 0
        assert len(grafana.dashboards) == 4


def test_without_a_token_nothing_is_asked(grafana: StandIn, push: Push) -> None:
    assert "GRAFANA_TOKEN is not set" in refused(push(grafana.url, token=None))
    assert "GRAFANA_TOKEN holds no token" in refused(push(grafana.url, token="two words"))
    assert grafana.asked == []


def test_a_token_that_is_not_accepted_is_said(grafana: StandIn, push: Push) -> None:
    assert "does not accept the token in GRAFANA_TOKEN" in refused(push(grafana.url, token="glsa_another"))
    assert grafana.dashboards == {}


@pytest.mark.parametrize(
    ("permission", "told"),
    [
        ("folders:create", "may not make the folder"),
        ("datasources:create", "may not make the data source"),
        ("dashboards:write", "may not take the dashboard Books"),
    ],
)
def test_what_the_token_may_not_do_is_said(grafana: StandIn, push: Push, permission: str, told: str) -> None:
    grafana.may_not.add(permission)
    error = refused(push(grafana.url))
    assert told in error
    assert "Admin" in error


def html(_path: str) -> Answer | None:
    return 200, "<html>Welcome to nginx</html>"


def other_json(_path: str) -> Answer | None:
    return 200, {"status": "success"}


def elsewhere(_path: str) -> Answer | None:
    return 302, "https://somewhere.else.example/login"


def down(path: str) -> Answer | None:
    return (503, {"message": f"database is locked, {TOKEN}"}) if path.startswith("/api/dashboards") else None


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (html, "is not Grafana"),
        (other_json, "is not Grafana"),
        (elsewhere, "sends us elsewhere"),
        (down, "did not take the dashboard Books: 503 database is locked"),
    ],
)
def test_what_answers_wrongly_is_one_clear_error(
    grafana: StandIn, push: Push, broken: Callable[[str], Answer | None], told: str
) -> None:
    grafana.broken = broken
    assert told in refused(push(grafana.url))


def test_a_wrong_path_and_nobody_there_are_said(grafana: StandIn, push: Push, free_port: int) -> None:
    assert "is not Grafana" in refused(push(f"{grafana.url}/elsewhere"))
    for nobody in ("127.0.0.1", "[::1]"):
        assert "can not be reached" in refused(push(f"http://{nobody}:{free_port}"))


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3000", "ftp://grafana", "http://", "http://host:99999", "http://h/?verify=0"]
)
def test_what_is_no_address_is_said(push: Push, url: str) -> None:
    assert "is not an address like" in refused(push(url))


def test_an_address_with_a_password_is_refused_and_not_shown(grafana: StandIn, push: Push) -> None:
    secret = "hunter2"
    error = refused(push(grafana.url.replace("//", f"//admin:{secret}@")))
    assert "a password in it is not taken" in error
    assert secret not in error
    assert grafana.asked == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"uid": "x",\n "title" "y"}', "books.json:2: not JSON"),
        ("[]", "books.json: not a dashboard with a uid and a title"),
        ('{"uid": "x"}', "books.json: not a dashboard with a uid and a title"),
    ],
)
def test_a_bad_dashboard_is_found_before_anything_is_sent(
    grafana: StandIn, push: Push, tmp_path: Path, text: str, told: str
) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "tests" / "projects" / "tiny", project, ignore=shutil.ignore_patterns("runs"))
    boards = project / "dashboards" / "grafana"
    boards.mkdir(parents=True)
    assert "there are no dashboards to push" in refused(push(grafana.url, project=project))
    (boards / "books.json").write_text(text, encoding="utf-8")
    assert told in refused(push(grafana.url, project=project))
    assert grafana.asked == []


def test_a_recording_that_is_none_or_cut_short_is_said_before_anything_is_sent(
    grafana: StandIn, push: Push, recording: Path
) -> None:
    assert "there is no" in refused(push(grafana.url, "--run", "no-such-run"))
    (recording / "manifest.json").write_text("{", encoding="utf-8")
    assert "the recording can't be read" in refused(push(grafana.url, "--run", str(recording)))
    assert grafana.asked == []


def test_without_the_client_one_line_says_how_to_get_it(grafana: StandIn, push: Push) -> None:
    error = refused(push(grafana.url, python=Path(sys.executable)))
    assert "grafana-client is not installed here" in error
    assert "pip install '.[grafana]'" in error


def committed_dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "dashboards" / "grafana").glob("*.json")]
