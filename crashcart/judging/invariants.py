"""Invariants: what must hold of the books, each with its smallest witnesses."""

from __future__ import annotations

from typing import Any

import msgspec

from crashcart.judging.numbers import percent
from crashcart.judging.shared import one_query
from crashcart.judging.shoppers import Shoppers
from crashcart.judging.tape import Tape
from crashcart.judging.validity import not_undone
from crashcart.model.truth import Invariant
from crashcart.model.verdict import InvariantResult, Outcome, Witness

WITNESSES = 10


def judge_invariants(tape: Tape, shoppers: Shoppers) -> tuple[InvariantResult, ...]:
    """Every invariant of the plan, in its order."""
    doubt, broken = _doubt(tape, shoppers), _broken(tape)
    return tuple(_judge(tape, invariant, doubt, broken) for invariant in tape.plan.truth.invariants)


def _judge(tape: Tape, invariant: Invariant, doubt: str, broken: str) -> InvariantResult:
    import duckdb

    try:
        violations, witnesses = _witnesses(tape, invariant)
        examined = int(tape.rows(one_query(tape.database, invariant.examined_sql))[0][0])
    except duckdb.Error as error:
        return _result(invariant, Outcome.INCONCLUSIVE, tape.why_unreadable(error))
    if violations:
        what = "thing contradicts" if violations == 1 else "things contradict"
        reason = f"{violations} {what} it, of {examined} examined{broken}"
        return _result(invariant, Outcome.FAIL, reason, examined, violations, witnesses)
    if examined < invariant.min_examined:
        reason = f"only {examined} examined, {invariant.min_examined} are needed to prove anything"
        return _result(invariant, Outcome.INCONCLUSIVE, reason, examined)
    if doubt:
        return _result(
            invariant, Outcome.INCONCLUSIVE, f"nothing contradicts it of {examined} examined, but {doubt}", examined
        )
    return _result(invariant, Outcome.PASS, f"holds for all {examined} examined", examined)


def _witnesses(tape: Tape, invariant: Invariant) -> tuple[int, tuple[Witness, ...]]:
    query = one_query(tape.database, invariant.sql)
    tape.database.execute(f"CREATE OR REPLACE TEMP TABLE witnesses AS FROM (\n{query}\n)")
    counted = int(tape.rows("SELECT count(*) FROM witnesses")[0][0])
    if not counted:
        return 0, ()
    # Sorted by their columns from left to right, so that it is always the same ones that are shown.
    rows = tape.rows("SELECT to_json(w) FROM (FROM witnesses ORDER BY ALL LIMIT ?) AS w", [WITNESSES])
    return counted, tuple(Witness(msgspec.json.decode(row, type=dict[str, Any])) for (row,) in rows)


def _broken(tape: Tape) -> str:
    """Why the shop itself may not be to blame for what it left half done; empty where it is."""
    left = not_undone(tape)
    if not left:
        return ""
    return f"; when the books were read the shop was still broken, so it could not finish what it had begun: {left[0]}"


def _doubt(tape: Tape, shoppers: Shoppers) -> str:
    """Why a book in which nothing is wrong proves nothing; empty where it does."""
    restless = tape.first("not-quiesced")
    if restless is not None or tape.first("quiesced") is None:
        if restless is None:
            return "nobody made sure that the shop was at rest when its books were read"
        pending = restless.data.get("pending", {})
        left = ", ".join(f"{name}: {'no answer' if n is None else n}" for name, n in sorted(pending.items()) if n != 0)
        return f"the shop did not come to rest ({left or 'it went on moving'})"
    if tape.first("books-read") is None:
        return "the books were not read to their end"
    offered = shoppers.count()
    resolved = tape.rows("SELECT count(*) FROM recording.confirmed WHERE told = 'unknown'")[0][0]
    unknown = shoppers.count(lambda group: group.outcome == "unknown") - resolved
    allowed = tape.plan.truth.max_unknown_share
    if offered and unknown > offered * allowed:
        return f"{percent(unknown / offered)} of the intents ended unknown, {percent(allowed)} may (maxUnknownShare)"
    return ""


def _result(
    invariant: Invariant,
    outcome: Outcome,
    reason: str,
    examined: int = 0,
    violations: int = 0,
    witnesses: tuple[Witness, ...] = (),
) -> InvariantResult:
    return InvariantResult(
        name=invariant.name,
        title=invariant.title,
        outcome=outcome,
        reason=reason,
        examined=examined,
        min_examined=invariant.min_examined,
        violations=violations,
        witnesses=witnesses,
    )
