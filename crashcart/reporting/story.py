"""From a row of the books to the story behind it: invariants with their witnesses, and what the logs say of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from crashcart.model.plan import Plan
from crashcart.model.verdict import InvariantResult, Outcome, Verdict
from crashcart.reporting import logs, words
from crashcart.reporting.purchases import Problem

_MOST_STORIES = 3
"""Of each rule; the other references lead to the logs by the same command."""
_MOST_PROBLEMS = 12
"""That are shown; a shop that says something else each time must not fill the page."""
_MOST_FIRST_STORIES = 6
"""Problems of which the first order's story is told."""

Lines = Mapping[str, tuple[logs.LogLine, ...]]


class Story(msgspec.Struct, frozen=True):
    """What the logs say of a reference."""

    reference: str
    command: str
    lines: tuple[logs.LogLine, ...]


class LawView(msgspec.Struct, frozen=True):
    """An invariant with its why, its witnesses, and the stories behind the first of them."""

    result: InvariantResult
    why: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    stories: tuple[Story, ...]
    told: tuple[str, ...]
    """References whose story stands with a rule further up."""


class ProblemView(msgspec.Struct, frozen=True):
    """A problem of failed orders with the story of the first of them."""

    problem: Problem
    story: Story | None


def tell(
    verdict: Verdict, plan: Plan, recording: Path, problems: Iterable[Problem]
) -> tuple[tuple[LawView, ...], tuple[ProblemView, ...]]:
    """Invariants, broken ones first, then those that could not be settled; and the first problems.

    The logs are read once for all of them.
    """
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
    ranked = sorted(verdict.invariants, key=lambda law: order.index(law.outcome))
    chosen = {law.name: _references(law)[:_MOST_STORIES] for law in ranked}
    firsts = [(problem, _first(problem)) for problem in itertools.islice(problems, _MOST_PROBLEMS)]
    wanted = [reference for names in chosen.values() for reference in names]
    wanted += [reference for _, reference in firsts[:_MOST_FIRST_STORIES] if reference]
    found = logs.find_lines(recording / "logs", wanted)
    told: set[str] = set()
    whys = {law.name: law.why for law in plan.truth.invariants}
    laws = []
    for law in ranked:
        laws.append(_law(law, whys.get(law.name, ""), chosen[law.name], found, told))
        told.update(chosen[law.name])
    views = [
        ProblemView(problem, _story(reference, found) if reference in found and reference not in told else None)
        for problem, reference in firsts
    ]
    return tuple(laws), tuple(views)


def _law(law: InvariantResult, why: str, references: Iterable[str], found: Lines, told: set[str]) -> LawView:
    columns = tuple(dict.fromkeys(key for witness in law.witnesses for key, _ in words.cells(witness.row)))
    return LawView(
        result=law,
        why=why,
        columns=columns,
        rows=tuple(tuple(words.value(witness.row.get(key)) for key in columns) for witness in law.witnesses),
        stories=tuple(_story(reference, found) for reference in references if reference not in told),
        told=tuple(reference for reference in references if reference in told),
    )


def _story(reference: str, found: Lines) -> Story:
    return Story(reference, logs.search_command(reference), found.get(reference, ()))


def _references(law: InvariantResult) -> tuple[str, ...]:
    """References of its witnesses that can be looked for, each once."""
    named = (witness.row.get("reference") for witness in law.witnesses)
    return tuple(dict.fromkeys(str(reference) for reference in named if logs.is_plain(reference)))


def _first(problem: Problem) -> str:
    return next((order.reference for order in problem.orders if logs.is_plain(order.reference)), "")
