"""A phase that ends before its time: nobody who has come is counted in another phase than was written down."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import gevent
import msgspec
import pytest

from crashcart.loadkit.run import NotCut, Run
from crashcart.loadkit.shoppers import Shopper
from crashcart.model.plan import Phase
from tests.unit.load.fakes import read_lines
from tests.unit.load.test_run import Behaviour, NoNetwork, OneDeed, buy, make_run

LONG = (Phase("baseline", 0.0, 0.2), Phase("fault", 0.2, 60.0), Phase("recovery", 60.0, 60.3))
THINKS_S = 0.4


@dataclass(frozen=True)
class LateDeed(OneDeed):
    @property
    def purchase_planned_s(self) -> float | None:
        return self.shopper.arrival_s + THINKS_S if self.shopper.key else None


class Thoughtful(Behaviour):
    def plan(self, shopper: Shopper) -> OneDeed:
        self.planned.append(shopper)
        return LateDeed(shopper, self.deed)


def _long_run(tmp_path: Path) -> Run:
    short, _ = make_run(tmp_path / "short", buy)
    assignment = msgspec.structs.replace(short.assignment, phases=LONG, out=str(tmp_path / "recording"))
    return Run(assignment, short._program, Thoughtful(buy), NoNetwork(), lambda *_args, **_more: None)


def _until(run: Run, at_s: float) -> None:
    assert run._clock is not None
    run._clock.sleep_until(at_s)


def test_the_phase_ends_after_the_last_click_that_was_drawn_and_the_run_at_its_new_end(tmp_path: Path) -> None:
    run = _long_run(tmp_path)
    run.start(time.monotonic())
    driving = gevent.spawn(run.drive)
    _until(run, 0.6)
    taken = run.cut("fault", 0.61)
    assert [phase.name for phase in taken] == ["baseline", "fault", "recovery"]
    assert 0.61 < taken[1].end_s <= 0.6 + THINKS_S + 0.5
    assert taken[2].start_s == taken[1].end_s
    assert taken[2].end_s == pytest.approx(taken[1].end_s + 0.3)
    driving.join(timeout=10)
    assert run.state == "settled"
    assert not run.broken
    drawn = [record for record in read_lines(tmp_path / "recording" / "intents.jsonl") if record["r"] == "intent"]
    assert {record["phase"] for record in drawn} == {"fault", "recovery"}
    for record in drawn:
        if record["phase"] == "fault":
            assert 0.2 <= record["planned_s"] < taken[1].end_s
        if record["phase"] == "recovery":
            assert record["planned_s"] >= taken[2].start_s
    assert max(record["planned_s"] for record in drawn) < taken[2].end_s + THINKS_S


@pytest.mark.parametrize("name", ["baseline", "recovery", "lunch"])
def test_only_the_phase_that_is_on_can_be_cut(tmp_path: Path, name: str) -> None:
    run = _long_run(tmp_path)
    with pytest.raises(NotCut, match="waiting"):
        run.cut("fault", 1.0)
    run.start(time.monotonic())
    driving = gevent.spawn(run.drive)
    _until(run, 0.3)
    with pytest.raises(NotCut, match="not in a phase"):
        run.cut(name, 1.0)
    run.stop()
    driving.join(timeout=10)
