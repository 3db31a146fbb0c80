"""What a machine is said to hold is what valid runs measured on it, and nothing is said that was not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart import capacity
from crashcart.capacity import Held, expected_per_s, foresee, measured, recall, remember
from crashcart.model.plan import Plan
from crashcart.model.verdict import Cost, Outcome, PhaseNumbers, Verdict
from tests.unit.running.test_timeline import demo

HELD = Held("2026-01-01T00:00:00+00:00", "demo", 40.0, 20.0, 2, 0.05)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "crashcart" / "capacity.json"


def _verdict(**changed: object) -> Verdict:
    baseline = PhaseNumbers("baseline", 10.0, 30.0, 800, 800, 0, 0, 0, 0, 20.0, 90.0)
    verdict = Verdict(
        format="",
        experiment="demo",
        title="",
        hypothesis="",
        run_id="",
        outcome=Outcome.FAIL,
        exit_status=1,
        headline="",
        reasons=(),
        look_at=(),
        ended="completed",
        valid=True,
        validity=(),
        evidence=(),
        objectives=(),
        recovery=None,
        invariants=(),
        phases=(baseline,),
        cost=Cost(0, 0, 20.0, {}, 0.05),
        disagreements=(),
        crashcart_version="",
    )
    return msgspec.structs.replace(verdict, **changed)


def _peak(per_s: float) -> Plan:
    return msgspec.structs.replace(demo(), peak_per_s=per_s)


def _held(**changed: object) -> Held:
    return msgspec.structs.replace(HELD, **changed)


def test_the_bound_is_the_free_cores_up_to_the_knee_over_what_an_order_takes() -> None:
    """2 × (0.85 − 0.05) cores ÷ 20 ms."""
    assert expected_per_s(20.0, 2, 0.05) == pytest.approx(80.0)
    assert expected_per_s(20.0, 2, 0.9) == 0.0


@pytest.mark.parametrize(
    ("peak_per_s", "level", "says"),
    [(40.0, "fine", "50% of the 80/s"), (70.0, "near", "close to the knee"), (86.0, "over", "MORE THAN IT HOLDS")],
)
def test_a_peak_is_told_as_a_share_and_warned_of(peak_per_s: float, level: str, says: str) -> None:
    found = foresee(_peak(peak_per_s), (_held(per_s=50.0),), 0.05)
    assert found.level == level
    assert says in found.text


def test_it_is_said_in_one_short_line() -> None:
    found = foresee(_peak(40.0), (_held(cpu_ms_per_order=12.5),), 0.04)
    assert found.text == (
        "peak 40/s is 31% of the 130/s that this machine is expected to hold"
        " (12.5 ms of CPU an order; neighbours use 4% now)"
    )


def test_neighbours_count_as_they_are_now_not_as_they_were_then() -> None:
    noisy = _held(neighbours_share=0.73, cpu_ms_per_order=13.6)
    assert foresee(_peak(40.0), (noisy,), 0.0).level == "fine"
    busy = foresee(_peak(40.0), (_held(neighbours_share=0.0),), 0.7)
    assert busy.level == "near"
    assert busy.text == (
        "peak 40/s takes 40% of this machine (20.0 ms of CPU an order) and neighbours use 70% now;"
        " wait until they are done, or the run may come to nothing"
    )
    assert busy.share is None


def test_a_rate_that_was_really_held_beside_such_neighbours_counts_where_it_is_higher() -> None:
    held = _held(per_s=100.0, cpu_ms_per_order=25.0, neighbours_share=0.2)
    assert foresee(_peak(40.0), (HELD, held), 0.2).share == pytest.approx(0.4)
    assert "neighbours use 45% now" in foresee(_peak(40.0), (HELD, held), 0.45).text
    assert foresee(_peak(20.0), (HELD, held), 0.45).share == pytest.approx(20 / 32)


def test_a_rate_that_was_held_beside_such_neighbours_is_no_reason_to_warn() -> None:
    held = _held(per_s=39.0, neighbours_share=0.96)
    found = foresee(_peak(40.0), (held,), 0.98)
    assert found.level == "fine"
    assert found.text == (
        "peak 40/s: 39/s were held before (20.0 ms of CPU an order), beside neighbours no less busy than now (98%)"
    )


def test_what_an_order_takes_is_said_by_the_runs_near_the_highest_rate_and_none_of_them_alone() -> None:
    cheap, dear, slow = (_held(cpu_ms_per_order=ms) for ms in (19.0, 35.0, 20.0))
    few = _held(per_s=9.0, cpu_ms_per_order=60.0)
    assert "(20.0 ms of CPU an order" in foresee(_peak(40.0), (cheap, dear, slow, few), 0.0).text


def test_nobody_shouts_on_the_ground_of_a_run_at_a_low_rate() -> None:
    found = foresee(_peak(120.0), (_held(per_s=9.0, cpu_ms_per_order=30.0),), 0.0)
    assert found.level == "near"
    assert "a guess: measured at no more than 9/s" in found.text


def test_the_highest_rate_is_remembered_however_long_ago_it_was() -> None:
    baseline = _verdict().phases[0]
    remember(demo(), _verdict(phases=(msgspec.structs.replace(baseline, offered=1600),)), Path())
    for _ in range(2 * capacity.KEPT_EACH):
        remember(demo(), _verdict(), Path())
    known, _ = recall(demo(), Path())
    assert len(known) == capacity.KEPT_EACH
    assert max(held.per_s for held in known) == 80.0


def test_the_first_time_nothing_is_known_and_it_is_said_how_to_find_out() -> None:
    known, problem = recall(demo(), Path())
    assert (known, problem) == ((), "")
    found = foresee(demo(), known, 0.0)
    assert found.share is None
    assert "any valid run" in found.text


def test_what_a_valid_run_showed_is_known_before_the_next_of_the_same_kind() -> None:
    made = demo()
    assert remember(made, _verdict(), Path()) == ""
    known, _ = recall(made, Path())
    assert [(held.per_s, held.cpu_ms_per_order, held.neighbours_share) for held in known] == [(40.0, 20.0, 0.05)]
    assert recall(msgspec.structs.replace(made, scenario="flash-deal"), Path())[0] == ()
    assert recall(made, Path("/elsewhere"))[0] == ()


def test_a_run_that_does_not_count_teaches_nothing() -> None:
    made = demo()
    assert measured(made, _verdict(valid=False), 2, "") is None
    assert measured(made, _verdict(phases=()), 2, "") is None
    assert measured(made, _verdict(cost=Cost(0, 0, None, {}, None)), 2, "") is None


@pytest.mark.parametrize("content", [b"{", b'{"held": 3}', b'{"format": "crashcart/capacity/v9"}', b"\xff\x00"])
def test_what_can_not_be_read_is_ignored_with_a_word_and_begun_anew(home: Path, content: bytes) -> None:
    home.parent.mkdir(parents=True)
    home.write_bytes(content)
    known, problem = recall(demo(), Path())
    assert known == ()
    assert "is ignored" in problem
    assert remember(demo(), _verdict(), Path()) == ""
    assert len(recall(demo(), Path())[0]) == 1


def test_a_state_folder_that_can_not_be_written_is_told_and_no_error(home: Path) -> None:
    home.parent.parent.mkdir(exist_ok=True)
    home.parent.write_text("a file in the way")
    assert "can't be kept" in remember(demo(), _verdict(), Path())


def test_only_so_much_is_kept(home: Path) -> None:
    for _ in range(capacity.KEPT_EACH + 3):
        remember(demo(), _verdict(), Path())
    assert len(recall(demo(), Path())[0]) == capacity.KEPT_EACH
