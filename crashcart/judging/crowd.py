"""Whether those came who were declared: a load that repeats itself, tires of buying or forgets a cohort is none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from crashcart.judging.numbers import binomial_tail, counted, percent
from crashcart.judging.shoppers import Shoppers
from crashcart.judging.tape import Tape
from crashcart.model.verdict import ValidityCheck

ALARM = 1e-6
"""What chance brings less often than this is not chance. A run is asked a hundred times: one in 10,000 errs."""

_TWICE = "SELECT count(*) - count(DISTINCT hash(id)) FROM intents"
_PACE = "SELECT t, max(scheduled) FROM recording.pace WHERE t IS NOT NULL GROUP BY t ORDER BY t"


def shoppers_drawn(tape: Tape, shoppers: Shoppers) -> ValidityCheck:
    """No shopper came twice, as many as declared set out to buy, and each cohort had its declared share of them."""
    troubles = [*_repeated(tape), *_tired(tape), *_one_sided(tape, shoppers)]
    more = f" (and {len(troubles) - 3} more)" if len(troubles) > 3 else ""
    told = f"purchases by {percent(tape.plan.load.purchase_share)} of the sessions, every cohort as declared"
    title = "the shoppers were the declared ones"
    return ValidityCheck("shoppers-drawn", title, not troubles, "; ".join(troubles[:3]) + more or told)


def _repeated(tape: Tape) -> Iterator[str]:
    [(twice,)] = tape.rows(_TWICE)
    if twice:
        yield f"the load repeated itself: {counted(twice, 'purchase')} had a key that had come before"


def _tired(tape: Tape) -> Iterator[str]:
    """Sessions are numbered as they arrive, so those of a phase are known, whenever their purchase was due."""
    first: dict[int, int] = {}
    total = 0
    for second, scheduled in tape.rows(_PACE):
        first[second] = total
        total += scheduled
    for phase in tape.reached:
        begin_s, end_s = math.ceil(phase.start_s), math.floor(phase.end_s)
        begin, end = first.get(begin_s), first.get(end_s, total)
        if begin is None or end <= begin:
            continue  # that nothing was written of it has been said already
        sql = "SELECT count(*) FROM intents WHERE session >= ? AND session < ?"
        bought = min(int(tape.rows(sql, [begin, end])[0][0]), end - begin)
        if not by_chance(bought, end - begin, tape.plan.load.purchase_share):
            share = percent(tape.plan.load.purchase_share)
            yield f"{phase.name}: {bought} of {end - begin} sessions set out to buy, {share} were declared"


def _one_sided(tape: Tape, shoppers: Shoppers) -> Iterator[str]:
    for phase in tape.reached:
        came = shoppers.planned_in(phase.name)
        for dimension, shares in tape.plan.load.cohorts.items():
            for value, share in shares.items():
                cohort = f"{dimension}:{value}"
                if not by_chance(came[cohort], came["all"], share):
                    told = f"{came[cohort]} of {came['all']} purchases were of {cohort}"
                    yield f"{phase.name}: {told}, {percent(share)} were declared"


def by_chance(n: int, of: int, share: float) -> bool:
    """Whether so many, or so few, of so many may be had by chance where `share` of them should be."""
    if not 0 < share < 1:
        return n == round(of * share)
    return binomial_tail(n, of, share) >= ALARM and binomial_tail(of - n, of, 1 - share) >= ALARM
