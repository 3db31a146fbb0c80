"""A fault that is shown by a share of what the clients themselves counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crashcart.judging.counters import Counters
from crashcart.judging.numbers import SIGNIFICANT, percent
from crashcart.judging.shares import Part, at_least, at_most
from crashcart.judging.windows import EDGE_S, Window
from crashcart.model.plan import Counted, PlannedFault
from crashcart.model.slo import Selector

MIN_COUNTED = 20
"""Events in each of before, meanwhile and after; of fewer no share can be told."""
QUARTERS = 4
"""A fault that is declared for a while must be there in each quarter of it."""
SCRAPE_S = 1.0
"""What was scraped last may be that old."""


@dataclass(frozen=True, slots=True)
class Census:
    """What the counters say of a fault. `trouble`: why they do not show it; empty where they do."""

    inside: Part
    before: Part
    after: Part
    trouble: str

    @property
    def outside(self) -> Part:
        """Before and after it."""
        return Part(self.before.n + self.after.n, self.before.of + self.after.of)


def take_census(
    fault: PlannedFault, window: Window, others: Sequence[tuple[float, float]], counters: Counters
) -> Census:
    """The share inside a fault's window, and before and after it, but for when others may have changed it.

    The share meanwhile must be in the declared range, in no quarter of that time too small for it, more than what is
    there anyway, and more than half of what was declared (a fault that acts half as strongly is in the range as often
    as not); before it, after it and right after it, it must be under the range. All but the first by exact
    binomial tests, so that few events prove nothing.
    """
    counted = fault.effect.counted
    assert counted is not None, "an effect that is counted says what to count"
    assert window.injected_s is not None, "judged only when it was injected"
    assert window.undoing_s is not None, "judged only when it was undone"
    assert window.undone_s is not None, "judged only when it was undone"
    after_s = window.undone_s + fault.effect.settle_s + EDGE_S + SCRAPE_S
    last_s = max((series.times[-1] for series in counters.select(counted.whole)), default=after_s)
    span = (window.injected_s + EDGE_S + SCRAPE_S, window.undoing_s - EDGE_S)
    inside = _grown(counted, counters, [span])
    before = _grown(counted, counters, _without([(0.0, window.injected_s - EDGE_S)], others))
    after = _grown(counted, counters, _without([(after_s, last_s)], others))
    silent = not counters.select(counted.whole)
    trouble = f"no data: nothing counts {counted.whole}" if silent else _trouble(counted, inside, before, after)
    soon_s = after_s + (span[1] - span[0]) / QUARTERS
    just_after = _grown(counted, counters, _without([(after_s, soon_s)], others))
    trouble = trouble or _uneven(counted, counters, span, just_after)
    return Census(inside, before, after, trouble)


def _trouble(counted: Counted, inside: Part, before: Part, after: Part) -> str:
    wanted = f"{percent(counted.share_from)} to {percent(counted.share_to)}"
    for when, part in (("during", inside), ("before", before), ("after", after)):
        if part.of < MIN_COUNTED:
            few = f"only {part.of} events of {counted.whole} were counted {when} the fault, {MIN_COUNTED} are needed"
            return f"{few}: {_more(when, MIN_COUNTED / part.of if part.of else None)}"
        if part.n > part.of:
            return f"{counted.part} counted more than {counted.whole} {when} the fault"
    if not counted.share_from <= inside.share <= counted.share_to:
        was = f"it was {inside} during the fault, and must be {wanted}"
        by_chance = min(at_least(inside, counted.share_to), at_most(inside, counted.share_from)) >= SIGNIFICANT
        return f"{was}; of so few that may be chance: {_more('during')}" if by_chance else was
    if counted.share and at_least(inside, counted.share / 2) >= SIGNIFICANT:
        half = f"that may be half of the declared {percent(counted.share)}"
        return f"it was {inside} during the fault, and {half}: {_more('during')}"
    for when, part in (("before", before), ("after", after)):
        # by chance a few events may be over the bound, when the real share is half of it
        if part.share >= counted.share_from and at_least(part, counted.share_from / 2) < SIGNIFICANT:
            return f"it was {part} {when} the fault, too, and must be under {percent(counted.share_from)} there"
    outside = Part(before.n + after.n, before.of + after.of)
    if at_most(outside, counted.share_from) >= SIGNIFICANT:
        few = f"{outside} before and after it are too few to say that it is under {percent(counted.share_from)} there"
        return f"{few}: {_more('after')}"
    anyway = max(outside.share, 1.0 / (outside.of + 1))
    if at_least(inside, anyway) >= SIGNIFICANT:
        anyway_told = f"{inside} during the fault could be what is there anyway: outside it it was {outside}"
        return f"{anyway_told}: {_more('during')}"
    return ""


def _more(when: str, times: float | None = None) -> str:
    """What gives more events then; `times`: how many times as many it takes."""
    phase = {"during": "the fault (`for`)", "before": "timeline.baseline", "after": "timeline.recovery"}[when]
    if times is None:
        return f"raise load.peak_per_s, or lengthen {phase}"
    much = f"{math.ceil(times * 12) / 10:g} times"  # a fifth more than just enough
    return f"raise load.peak_per_s to {much} what it is, or lengthen {phase} to as much"


def _uneven(counted: Counted, counters: Counters, span: tuple[float, float], just_after: Part) -> str:
    """Whether it was there for a part of the time only, and much more then; or stayed for a while when it had gone."""
    from_s, to_s = span
    quarter_s = (to_s - from_s) / QUARTERS
    for number in range(QUARTERS):
        begin_s = from_s + number * quarter_s
        part = _grown(counted, counters, [(begin_s, begin_s + quarter_s)])
        if part.share < counted.share_from and at_most(part, counted.share_from) < SIGNIFICANT / QUARTERS:
            wanted = f"{percent(counted.share_from)} or more in each"
            return f"in quarter {number + 1} of its time it was {part}, and must be {wanted}"
    if just_after.share >= counted.share_from and at_least(just_after, counted.share_from / 2) < SIGNIFICANT:
        return f"right after it, it was {just_after} still, and must be under {percent(counted.share_from)} there"
    return ""


def _grown(counted: Counted, counters: Counters, spans: Sequence[tuple[float, float]]) -> Part:
    return Part(_growth(counted.part, counters, spans), _growth(counted.whole, counters, spans))


def _growth(selector: Selector, counters: Counters, spans: Sequence[tuple[float, float]]) -> int:
    selected = counters.select(selector)
    return round(sum(series.between(from_s, to_s) for series in selected for from_s, to_s in spans))


def _without(
    spans: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]
) -> Sequence[tuple[float, float]]:
    """What is left of spans when others are cut out of them. A scrape after one still tells of it."""
    left = list(spans)
    for begin_s, end_s in others:
        cut = [((from_s, min(to_s, begin_s)), (max(from_s, end_s + SCRAPE_S), to_s)) for from_s, to_s in left]
        left = [span for pair in cut for span in pair if span[0] < span[1]]
    return left
