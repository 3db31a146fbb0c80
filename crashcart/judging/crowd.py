"""Whether those came who were declared: a load that repeats itself, tires of buying or forgets a cohort is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

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
    bought = tuple(_bought(tape))
    cohorts = tuple(_cohorts(tape, shoppers))
    troubles = [*_repeated(tape), *(one.told for one in (*bought, *cohorts) if not by_chance(one.n, one.of, one.share))]
    more = f" (and {len(troubles) - 3} more)" if len(troubles) > 3 else ""
    title = "the shoppers were the declared ones"
    n, of = sum(one.n for one in bought), sum(one.of for one in bought)
    if not n:
        troubles.insert(0, "no data: nobody is known to have set out to buy")
    seen = f"{n} of {of} sessions set out to buy, {percent(tape.plan.load.purchase_share)} were declared"
    told = f"{seen}; {counted(len(cohorts), 'share')} of cohorts looked at"
    return ValidityCheck("shoppers-drawn", title, not troubles, "; ".join(troubles[:3]) + more or told)


class _Drawn(NamedTuple):
    """So many of so many, where each was to be one with this chance."""

    n: int
    of: int
    share: float
    told: str
    """What is wrong, if it is."""


def _repeated(tape: Tape) -> Iterator[str]:
    [(twice,)] = tape.rows(_TWICE)
    if twice:
        yield f"the load repeated itself: {counted(twice, 'purchase')} had a key that had come before"


def _bought(tape: Tape) -> Iterator[_Drawn]:
    """Sessions are numbered as they arrive, so those of a phase are known, whenever their purchase was due."""
    share = tape.plan.load.purchase_share
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
        n, of = min(int(tape.rows(sql, [begin, end])[0][0]), end - begin), end - begin
        yield _Drawn(n, of, share, f"{phase.name}: {n} of {of} sessions set out to buy, {percent(share)} were declared")


def _cohorts(tape: Tape, shoppers: Shoppers) -> Iterator[_Drawn]:
    for phase in tape.reached:
        came = shoppers.planned_in(phase.name)
        for dimension, shares in tape.plan.load.cohorts.items():
            for value, share in shares.items():
                n, of = came[f"{dimension}:{value}"], came["all"]
                told = f"{n} of {of} purchases were of {dimension}:{value}, {percent(share)} were declared"
                yield _Drawn(n, of, share, f"{phase.name}: {told}")


def by_chance(n: int, of: int, share: float) -> bool:
    """Whether so many, or so few, of so many may be had by chance where `share` of them should be."""
    if not 0 < share < 1:
        return n == round(of * share)
    return binomial_tail(n, of, share) >= ALARM and binomial_tail(of - n, of, 1 - share) >= ALARM
