"""What shoppers saw whose purchases came to nothing: the most common things first. Nothing is judged by it."""

from __future__ import annotations

from crashcart.judging.shoppers import Shoppers
from crashcart.judging.tape import Tape

_MOST = 3
"""Things that are told of a phase; the others are counted together."""
_LONGEST = 140
"""Characters of one; the shop may have had a say in them."""

# What differs in numbers alone is one thing.
_SAW = """
WITH failed AS (
  SELECT phase, status, coalesce(saw, problem, outcome) AS said FROM recording.unsold
  WHERE outcome IN ('failed', 'unknown', 'gave_up', 'blocked')
)
SELECT phase, min(said) AS example, min(said) <> max(said) AS differ, count(*) AS n
FROM failed GROUP BY phase, status, regexp_replace(said, '[0-9]+', '#', 'g')
QUALIFY row_number() OVER (PARTITION BY phase ORDER BY n DESC, example, differ) <= ?
ORDER BY n DESC, example, differ
"""


def read_saw(tape: Tape, shoppers: Shoppers) -> dict[str, str]:
    """Phase → a sentence, for every phase in which a purchase came to nothing, in the plan's order."""
    seen: dict[str, list[tuple[int, str]]] = {}
    for phase, example, differ, n in tape.rows(_SAW, [_MOST]):
        seen.setdefault(phase, []).append((n, _shortened(example) + (", and alike" if differ else "")))
    return {
        phase.name: _sentence(shoppers, phase.name, seen[phase.name])
        for phase in tape.plan.phases
        if phase.name in seen
    }


def _sentence(shoppers: Shoppers, phase: str, seen: list[tuple[int, str]]) -> str:
    failed = sum(shoppers.planned_in(phase, outcome)["all"] for outcome in ("failed", "unknown", "gave_up", "blocked"))
    others = failed - sum(n for n, _ in seen)
    told = "; ".join([*(f"{n} × {said}" for n, said in seen), *([f"{others} × something else"] if others else [])])
    return f"{failed} of {shoppers.planned_in(phase)['all']} purchases came to nothing: {told}"


def _shortened(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
