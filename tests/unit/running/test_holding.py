"""Cutting a plan short moves everything that follows from time, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from crashcart.loading.experiments import experiment_from_tree
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import UsageError
from crashcart.model.experiment import Experiment
from crashcart.model.holding import cut_phases, cut_short
from crashcart.planning.holding import hold_of, hold_overrides
from tests.unit.running.test_timeline import ROOT, demo


def _experiment() -> Experiment:
    text = (ROOT / "experiments" / "third-party" / "card-processor-outage-at-peak.yaml").read_text(encoding="utf-8")
    return experiment_from_tree(parse_tree(text, "demo.yaml")).experiment


def test_a_fault_phase_cut_short_takes_its_fault_with_it_and_what_is_expected() -> None:
    """Phases 0–10–30–50–80; the fault from 30 to 50."""
    made = demo()
    cut = cut_short(made, "fault", said_s=39.5, end_s=40.0)
    assert [(phase.start_s, phase.end_s) for phase in cut.phases] == [(0, 10), (10, 30), (30, 40), (40, 70)]
    assert (cut.faults[0].start_s, cut.faults[0].end_s) == (30, 39.5)
    assert cut.phase("fault").expected_intents == made.phase("fault").expected_intents / 2
    assert cut.recovery is not None
    assert cut.recovery.from_s == 39.5
    for before, after in zip(made.objectives, cut.objectives, strict=True):
        share = 0.5 if before.phase == "fault" else 1.0
        assert after.expected_events == pytest.approx(before.expected_events * share, abs=0.001)


def test_a_baseline_cut_short_moves_the_fault_up() -> None:
    cut = cut_short(demo(), "baseline", said_s=20.0, end_s=20.3)
    assert (cut.faults[0].start_s, cut.faults[0].end_s) == (20.3, 40.3)
    assert cut.phases[-1].end_s == 70.3


def test_phases_follow_each_other_to_the_last_digit() -> None:
    for end_s in (30.1234565, 33.3333333333, 49.9999999):
        phases = cut_phases(demo().phases, "fault", end_s)
        assert [phase.end_s for phase in phases[:-1]] == [phase.start_s for phase in phases[1:]]


def test_a_schedule_of_slices_ends_with_its_fault() -> None:
    made = demo()
    sliced = msgspec.structs.replace(made.faults[0], slices=((0.0, 2.0), (5.0, 8.0), (12.0, 15.0)))
    cut = cut_short(msgspec.structs.replace(made, faults=(sliced,)), "fault", said_s=36.0, end_s=36.5)
    assert cut.faults[0].slices == ((0.0, 2.0), (5.0, 6.0))


@pytest.mark.parametrize("end_s", [30.0, 50.1])
def test_a_phase_ends_within_itself(end_s: float) -> None:
    with pytest.raises(ValueError, match="is not within fault"):
        cut_phases(demo().phases, "fault", end_s)


def test_holding_makes_the_phase_and_the_fault_that_ends_last_as_long_as_they_may_get() -> None:
    written = _experiment()
    hold = hold_of(written, "fault")
    assert hold.not_before_s == 50.0
    assert hold_overrides(written, hold, 1800.0) == ("timeline.fault=30m", "faults.0.for=30m")
    assert hold_overrides(written, hold_of(written, "recovery"), 90.0) == ("timeline.recovery=90s",)


def test_what_can_not_be_held_is_refused_with_a_remedy() -> None:
    written = _experiment()
    with pytest.raises(UsageError, match="can't be held"):
        hold_of(written, "warmup")
    with pytest.raises(UsageError, match="takes 20s as it is written"):
        hold_overrides(written, hold_of(written, "fault"), 10.0)
    opening = msgspec.structs.replace(written, load=msgspec.structs.replace(written.load, profile="prime-day"))
    with pytest.raises(UsageError, match="drawn over the whole timeline"):
        hold_of(opening, "fault")
