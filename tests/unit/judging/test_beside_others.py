"""A machine on which others work: what is missed then is not the shop's failing, and what is met counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]
Spoil = Callable[[MadeUp], None]


def _looks(busy: float, others: float, from_s: float = 0.0, to_s: float = 63.0) -> Spoil:
    """Two cores, looked at every 3 s: how busy they are then, and how much of that is others' doing."""

    def spoil(run: MadeUp) -> None:
        busy_s = own_s = 1000.0
        for t in range(0, 66, 3):
            run.events.append(("machine", float(t), {"busy_s": busy_s, "own_s": own_s, "cores": 2}))
            inside = from_s <= t < to_s
            busy_s += 6.0 * (busy if inside else 0.5)
            own_s += 6.0 * (busy - others if inside else 0.48)

    return spoil


def _missed_in_the_fault(run: MadeUp) -> None:
    def failed(told: Told) -> None:
        told.outcome = "failed"

    run.spoil(failed, 26, 30)


def test_what_is_missed_while_others_fill_the_machine_is_not_the_shops_failing(run: MadeUp, judged: Judged) -> None:
    _missed_in_the_fault(run)
    _looks(1.0, 0.15, 24.0, 30.0)(run)
    verdict = judged(run)
    [broken] = [check for check in verdict.validity if not check.ok]
    assert broken.name == "machine"
    assert "missed in fault, where the machine was full for 5 s, 15 % of it with other work" in broken.detail
    assert "run it where nothing else runs" in broken.remedy
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param(_looks(1.0, 0.05), id="it fills the machine by itself"),
        pytest.param(_looks(0.8, 0.3), id="there is time for everybody"),
        pytest.param(_looks(1.0, 0.3, 0.0, 24.0), id="it was full in another phase"),
        pytest.param(_looks(1.0, 0.3, 62.0, 63.0), id="nobody looked then"),
        pytest.param(lambda run: None, id="nobody looked at all"),
    ],
)
def test_what_is_missed_for_any_other_reason_is_missed(run: MadeUp, judged: Judged, looks: Spoil) -> None:
    _missed_in_the_fault(run)
    looks(run)
    verdict = judged(run)
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    assert verdict.outcome is Outcome.FAIL


def test_what_is_missed_beside_others_hides_nothing_that_was_missed_without_them(run: MadeUp, judged: Judged) -> None:
    def failed(told: Told) -> None:
        told.outcome = "failed"

    run.spoil(failed, 26, 60)
    _looks(1.0, 0.4, 36.0)(run)
    verdict = judged(run)
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    assert verdict.outcome is Outcome.FAIL
    (check,) = [check for check in verdict.validity if check.name == "machine"]
    assert "missed in recovery, where the machine was full" in check.detail
    assert "yet it was not in fault, where something was missed as well" in check.detail


def test_what_is_met_beside_others_counts(run: MadeUp, judged: Judged) -> None:
    _looks(1.0, 0.4)(run)
    assert judged(run).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("others", "said"), [(0.3, "others used 30 % of the machine meanwhile"), (0.05, "proves nothing: see the evidence")]
)
def test_where_a_fault_was_not_shown_beside_others_the_remedy_says_so(
    run: MadeUp, judged: Judged, others: float, said: str
) -> None:
    run.sees = lambda t, side: (True, 1.0)
    _looks(0.9, others)(run)
    [broken] = [check for check in judged(run).validity if not check.ok]
    assert broken.name == "evidence"
    assert said in broken.remedy
    assert ("run it where nothing else runs" in broken.remedy) is (others >= 0.1)
