from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import msgspec
import pytest
from gevent.event import Event

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.arrivals import arrivals
from crashcart.loadkit.assignment import ASSIGNMENT_FORMAT, Assignment, Settings, by_hand, phase_at, read_assignment
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.files import JsonLines, RecordNotWritten
from crashcart.loadkit.intents import CRASHED, NOT_STARTED, STOPPED, Ending
from crashcart.loadkit.run import Run
from crashcart.loadkit.shoppers import Shopper, read_program
from crashcart.loadkit.streams import ARRIVALS, stream
from crashcart.loadkit.transport import BODY_MAX_BYTES, Transport
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.load import LoadProgram
from crashcart.model.plan import Phase
from crashcart.model.profiles import PROFILES
from tests.unit.load.fakes import COHORTS, read_lines

PHASES = (Phase("warmup", 0.0, 0.1), Phase("baseline", 0.1, 0.4))
PER_S = 60.0
SHARE = 0.3

Deed = Callable[[Desk], None]


class NoNetwork:
    def exchange(self, request: Request, timeout_s: float, body_max_bytes: int = BODY_MAX_BYTES) -> Answer:
        raise AssertionError("nothing is sent in these tests")


@dataclass(frozen=True)
class OneDeed:
    """A visit of one deed."""

    shopper: Shopper
    deed: Deed

    @property
    def purchase_planned_s(self) -> float | None:
        return self.shopper.arrival_s if self.shopper.key else None

    def run(self, desk: Desk) -> None:
        self.deed(desk)


@dataclass
class Behaviour:
    deed: Deed
    planned: list[Shopper] = field(default_factory=list)

    @property
    def operations(self) -> Mapping[str, tuple[str, ...]]:
        return {"browse": ("ok", "error")}

    def prepare(self, transport: Transport) -> None:
        pass

    def plan(self, shopper: Shopper) -> OneDeed:
        self.planned.append(shopper)
        return OneDeed(shopper, self.deed)


def buy(desk: Desk) -> None:
    if desk.shopper.key:
        desk.about_to_send(intended_s=desk.clock.now_s(), what={})
        desk.end_intent(Ending("ok", latency_ms=1.0, attempts=1))


def waits_for(event: Event) -> Deed:
    def wait(_desk: Desk) -> None:
        event.wait()

    return wait


def make_run(out: Path, deed: Deed, *, max_in_flight: int = 100, patience_s: float = 5.0) -> tuple[Run, Behaviour]:
    program = LoadProgram(
        api_version="crashcart/v1",
        kind="Load",
        command=("true",),
        purchase_share=SHARE,
        cohorts={name: dict(shares) for name, shares in COHORTS.items()},
        patience_s=patience_s,
    )
    assignment = Assignment(
        format=ASSIGNMENT_FORMAT,
        target="http://127.0.0.1:1",
        control_address="",
        out=str(out / "recording"),
        phases=PHASES,
        profile="steady",
        peak_per_s=PER_S,
        seed=7,
        settings=Settings(max_in_flight=max_in_flight),
    )
    behaviour = Behaviour(deed)
    return Run(assignment, program, behaviour, NoNetwork(), lambda *_args, **_more: None), behaviour


def drive(run: Run) -> dict[str, Any]:
    run.start(time.monotonic())
    run.drive()
    summary: dict[str, Any] = msgspec.json.decode((Path(run.assignment.out) / "load-summary.json").read_bytes())
    return summary


def schedule() -> list[float]:
    return list(arrivals(PROFILES["steady"], PER_S / SHARE, PHASES, stream(7, -1, ARRIVALS)))


def endings(run: Run) -> list[tuple[str, str]]:
    records = read_lines(Path(run.assignment.out) / "intents.jsonl")
    return [(record["outcome"], record["problem"]) for record in records if record["r"] == "end"]


def test_every_arrival_of_the_schedule_is_started_and_counted(tmp_path: Path) -> None:
    run, behaviour = make_run(tmp_path, buy)
    summary = drive(run)
    assert [shopper.arrival_s for shopper in behaviour.planned] == schedule()
    assert summary["scheduled"] == summary["started"] == len(schedule()) > 50
    assert summary["not_started"] == summary["crashed"] == summary["in_flight"] == 0
    assert summary["lateness"]["count"] == len(schedule())
    assert run.state == "settled"
    lines = read_lines(tmp_path / "recording" / "pace.jsonl")
    assert sum(line["scheduled"] for line in lines) == sum(line["started"] for line in lines) == len(schedule())


def test_the_schedule_does_not_wait_for_a_shop_that_hangs(tmp_path: Path) -> None:
    """Open loop: nobody is ever answered, and everybody comes all the same."""
    everybody_came = Event()
    run, _ = make_run(tmp_path, waits_for(everybody_came))
    run.start(time.monotonic())
    driving = gevent.spawn(run.drive)
    while run.metrics.scheduled < len(schedule()):
        gevent.sleep(0.01)
    assert run.status()["in_flight"] == len(schedule())
    everybody_came.set()
    driving.join()
    assert run.status()["in_flight"] == 0


def test_who_cannot_be_started_is_counted_and_their_intents_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave = Event()
    run, behaviour = make_run(tmp_path, waits_for(leave), max_in_flight=3)
    run.start(time.monotonic())
    driving = gevent.spawn(run.drive)
    while run.metrics.scheduled < len(schedule()):
        gevent.sleep(0.01)
    leave.set()
    driving.join()
    status = run.status()
    assert (status["scheduled"], status["started"]) == (len(schedule()), 3)
    assert status["not_started"] == len(schedule()) - 3
    turned_away = [shopper for shopper in behaviour.planned[3:] if shopper.key]
    assert endings(run).count(("blocked", NOT_STARTED)) == len(turned_away) > 5
    assert "sessions are not being started" in capsys.readouterr().err


def test_a_session_that_fails_by_our_own_fault_breaks_the_run_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stumble(desk: Desk) -> None:
        if desk.shopper.key:
            raise ZeroDivisionError("ours")

    run, _ = make_run(tmp_path, stumble)
    summary = drive(run)
    assert "ZeroDivisionError: ours" in summary["broken"]
    assert summary["crashed"] >= 1
    assert "ZeroDivisionError: ours" in capsys.readouterr().err
    assert set(endings(run)) == {("blocked", CRASHED)}


def test_a_disk_that_takes_no_more_stops_the_load(tmp_path: Path) -> None:
    run, behaviour = make_run(tmp_path, buy)
    run._intents.close()
    summary = drive(run)
    assert "cannot write" in summary["broken"]
    assert len(behaviour.planned) < len(schedule())


def test_stop_ends_the_arrivals_and_lets_those_inside_finish(tmp_path: Path) -> None:
    inside, leave = Event(), Event()

    def stay(desk: Desk) -> None:
        inside.set()
        leave.wait()
        buy(desk)

    run, behaviour = make_run(tmp_path, stay)
    run.start(time.monotonic())
    driving = gevent.spawn(run.drive)
    inside.wait()
    run.stop()
    while run.state != "settling":
        gevent.sleep(0)
    leave.set()
    driving.join()
    assert len(behaviour.planned) < len(schedule())
    assert {outcome for outcome, _ in endings(run)} <= {"ok"}
    assert run.status()["state"] == "settled"


def test_who_outstays_all_patience_is_cut_short_and_written_down(tmp_path: Path) -> None:
    def never_leave(desk: Desk) -> None:
        if desk.shopper.key:
            desk.about_to_send(intended_s=0.0, what={})
        Event().wait()

    run, _ = make_run(tmp_path, never_leave, patience_s=0.01)
    summary = drive(run)
    assert summary["in_flight"] == 0
    assert set(endings(run)) == {("unknown", STOPPED)}


def test_a_run_is_driven_once(tmp_path: Path) -> None:
    run, behaviour = make_run(tmp_path, buy)
    drive(run)
    run.drive()
    assert len(behaviour.planned) == len(schedule())


def test_stopped_before_it_began_it_settles_without_anybody(tmp_path: Path) -> None:
    run, behaviour = make_run(tmp_path, buy)
    run.stop()
    run.drive()
    assert (run.state, behaviour.planned) == ("settled", [])


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "recording").write_text("a file is in the way")
    with pytest.raises(RecordNotWritten, match="cannot make the folder"):
        make_run(tmp_path, buy)


def test_a_record_is_whole_or_it_is_an_error(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "x.jsonl")
    lines.append({"a": 1})
    JsonLines(tmp_path / "x.jsonl").append({"b": 2})
    assert read_lines(tmp_path / "x.jsonl") == [{"a": 1}, {"b": 2}]
    with pytest.raises(RecordNotWritten, match="cannot write"):
        JsonLines(Path("/dev/full")).append({"a": 1})


def test_what_was_meant_for_after_the_last_phase_still_belongs_to_it() -> None:
    assert [phase_at(PHASES, at_s) for at_s in (-1, 0, 0.1, 0.39, 0.4, 99)] == [
        "warmup",
        "warmup",
        "baseline",
        "baseline",
        "baseline",
        "baseline",
    ]


def test_an_assignment_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "load.json"
    written = {
        "format": ASSIGNMENT_FORMAT,
        "target": "http://127.0.0.1:8000",
        "control_address": "127.0.0.1:9000",
        "out": "/x",
        "phases": [{"name": "warmup", "start_s": 0.0, "end_s": 10.0}],
        "profile": "prime-day",
        "peak_per_s": 40.0,
        "seed": 7,
        "settings": {},
    }
    file.write_bytes(msgspec.json.encode(written))
    assert read_assignment(file).phases == (Phase("warmup", 0.0, 10.0),)
    for change, said in (
        ({"format": "other/v9"}, "unknown format"),
        ({"target": "ftp://x"}, "is not http"),
        ({"phases": []}, "holds no time"),
        ({"peak_per_s": 0}, "over 0"),
        ({"profile": "prime-dya"}, 'did you mean "prime-day"'),
    ):
        file.write_bytes(msgspec.json.encode({**written, **change}))
        with pytest.raises(UsageError, match=said):
            read_assignment(file)
    file.write_text("{")
    with pytest.raises(BadFile, match=ASSIGNMENT_FORMAT):
        read_assignment(file)


def test_by_hand_a_tenth_of_the_time_is_to_warm_up() -> None:
    assignment = by_hand(
        target="http://x", out="o", profile="steady", peak_per_s=1, seed=1, duration_s=60, settings=Settings()
    )
    assert [(phase.name, phase.end_s) for phase in assignment.phases] == [("warmup", 6.0), ("run", 60.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "load.yaml"),
        ("apiVersion: x\nkind: Load\ncommand: [x]\npurchase_share: 0\ncohorts: {}", "purchase_share is 0"),
        ("apiVersion: x\nkind: Load\ncommand: [x]\npurchase_share: 0.5\ncohorts: {a: {b: 0.5}}", "shares of a"),
        ("apiVersion: x\nkind: Load\ncommand: [x]\npurchase_share: 0.5\ncohortz: {}", "cohort"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "load.yaml").write_text(text)
    with pytest.raises(BadFile, match=said):
        read_program(tmp_path / "load.yaml")
