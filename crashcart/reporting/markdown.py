"""`report.md`: what a CI job posts to a pull request, and what a terminal still reads well.

Text from the shop is shown and never obeyed: no HTML, no link, no mention of a person, and no pipe that breaks a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crashcart.model.plan import Plan
from crashcart.model.verdict import FailedOrder, InvariantResult, ObjectiveResult, Outcome, Verdict
from crashcart.reporting import recorded, recovery, view, words
from crashcart.reporting.files import write_text
from crashcart.reporting.marks import moments
from crashcart.reporting.mdtext import code, prose, table
from crashcart.reporting.purchases import by_problem

_SIGNS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}
_MOST_ROWS = 20
_MOST_WITNESSES = 3
_MOST_BROKEN = 5
_MOST_BYTES = 60_000
"""A comment on a pull request holds 65,536."""


def write_markdown(path: Path, recording: Path, verdict: Verdict, orders: Sequence[FailedOrder]) -> Path:
    """Write it whole or not at all. BadFile where the recording has no readable plan."""
    return write_text(path, markdown(verdict, recorded.read_plan(recording), orders))


def markdown(verdict: Verdict, plan: Plan, orders: Sequence[FailedOrder] = ()) -> str:
    """The report as text; at most 60,000 bytes, what is cut is said."""
    text = "\n".join(_lines(verdict, plan, orders)) + "\n"
    if len(text.encode()) <= _MOST_BYTES:
        return text
    kept = text.encode()[:_MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nCut here: the whole is in `report.html`.\n"


def _lines(verdict: Verdict, plan: Plan, orders: Sequence[FailedOrder]) -> Iterator[str]:
    headline = words.headline(verdict.headline, verdict.outcome)
    yield f"## {_SIGNS[verdict.outcome]} {verdict.outcome.upper()}: {prose(verdict.title)}"
    yield f"\n**{prose(headline)}**\n"
    yield from table(("", "checked", "result"), _summary(verdict, plan))
    yield from _bullets("Look at first", verdict.look_at)
    yield from _bullets("Why", verdict.reasons)
    yield from _bullets("What shoppers saw", verdict.saw)
    yield from _objectives(verdict)
    yield from _books(verdict)
    yield from _evidence(verdict)
    yield from _recovery(verdict, plan)
    yield from _orders(verdict, orders)
    yield from _validity(verdict)
    yield from _bullets("Where counts differ", verdict.disagreements)
    yield f"\n### Run it again\n\n```sh\n{view.command(plan)}\n```\n"
    ending = f"exit status {verdict.exit_status}, {prose(verdict.ended)}, run {code(verdict.run_id)}"
    yield f"{code(verdict.experiment)}: {ending}, crashcart {prose(verdict.crashcart_version)}"


def _summary(verdict: Verdict, plan: Plan) -> Iterator[tuple[str, str, str]]:
    def row(outcomes: Iterable[Outcome], name: str, said: str) -> tuple[str, str, str]:
        worst = max(outcomes, key=[Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL].index, default=None)
        return (_SIGNS[worst] if worst else "", name, said)

    checks = [_met(check.ok) for check in verdict.validity]
    yield row(checks, "does the run count?", f"{_of(checks)} validity checks hold")
    acted = [_met(seen.ok) for seen in verdict.evidence]
    yield row(acted, "faults", f"{_of(acted)} were seen to act" if plan.faults else "none in this experiment")
    objectives = [one.outcome for one in verdict.objectives]
    judged = verdict.valid or Outcome.FAIL in objectives
    yield row(objectives, "objectives", f"{_of(objectives)} met" if judged else "not judged: the run does not count")
    if verdict.recovery is not None:
        yield row([verdict.recovery.outcome], "recovery", prose(verdict.recovery.reason))
    laws = [law.outcome for law in verdict.invariants]
    yield row(laws, "the books", f"{_of(laws)} invariants hold")
    cost = verdict.cost
    said = f"{words.plural(cost.purchases_lost, 'purchase')}, {words.money(cost.money_lost_cents)}"
    if cost.purchases_lost and cost.average_order_cents:
        said += f" at {words.money(cost.average_order_cents)} on average"
    yield "", "lost", f"{said}; {words.plural(cost.carts_abandoned, 'cart')} abandoned"
    if cost.cpu_ms_per_order is not None:
        yield "", "CPU per order", f"{words.decimal(cost.cpu_ms_per_order)} ms"


def _of(outcomes: Sequence[Outcome]) -> str:
    return f"{outcomes.count(Outcome.PASS)} of {len(outcomes)}"


def _met(ok: bool) -> Outcome:
    return Outcome.PASS if ok else Outcome.INCONCLUSIVE


def _bullets(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"\n### {title}\n"
        yield from (f"- {prose(line)}" for line in lines[:_MOST_ROWS])


def _objectives(verdict: Verdict) -> Iterator[str]:
    """What was not met; of a run that does not count, where none was judged, what was seen below its objective."""
    title = "Objectives not met" if verdict.valid else "Seen below its objective, in a run that does not count"
    missed = [one for one in verdict.objectives if _is_missed(one, valid=verdict.valid)]
    if not missed:
        return
    missed.sort(key=lambda one: (one.outcome is not Outcome.FAIL, one.margin if one.margin is not None else 0.0))
    yield f"\n### {title}\n"
    head = ("", "phase", "SLO", "shoppers", "observed", "objective", "good / valid", "p")
    yield from table(head, (_objective(one) for one in missed[:_MOST_ROWS]), right=4)
    if len(missed) > _MOST_ROWS:
        yield f"\nAnd {len(missed) - _MOST_ROWS} more."


def _is_missed(one: ObjectiveResult, *, valid: bool) -> bool:
    if valid or one.outcome is Outcome.FAIL:
        return one.outcome is not Outcome.PASS
    return one.margin is not None and one.margin < 0


def _objective(one: ObjectiveResult) -> tuple[str, ...]:
    events = f"{words.count(one.good)} / {words.count(one.valid)}"
    observed, wanted = words.share(one.observed), words.target(one.objective)
    shoppers = prose(words.cohort(one.cohort))
    who = (_SIGNS[one.outcome], prose(one.phase), code(one.slo), shoppers)
    return (*who, observed, wanted, events, prose(words.chance(one.p_value)))


def _books(verdict: Verdict) -> Iterator[str]:
    if not verdict.invariants:
        return
    yield "\n### The books\n"
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
    laws = sorted(verdict.invariants, key=lambda law: order.index(law.outcome))
    rows = (
        (_SIGNS[law.outcome], prose(law.title), words.count(law.violations), words.count(law.examined)) for law in laws
    )
    yield from table(("", "invariant", "against it", "examined"), rows, right=2)
    for law in [law for law in laws if law.outcome is not Outcome.PASS][:_MOST_BROKEN]:
        yield from _law(law)


def _law(law: InvariantResult) -> Iterator[str]:
    reason = f": {prose(law.reason)}" if law.reason else ""
    yield f"\n{_SIGNS[law.outcome]} **{prose(law.title)}** ({code(law.name)}){reason}\n"
    witnesses = law.witnesses[:_MOST_WITNESSES]
    columns = tuple(dict.fromkeys(key for witness in witnesses for key, _ in words.cells(witness.row)))
    if columns:
        rows = (tuple(code(words.value(witness.row.get(key))) for key in columns) for witness in witnesses)
        yield from table(tuple(map(prose, columns)), rows)


def _evidence(verdict: Verdict) -> Iterator[str]:
    if verdict.evidence:
        yield "\n### Evidence\n"
        rows = (
            (
                _SIGNS[_met(seen.ok)],
                prose(seen.title),
                prose(seen.detail),
                words.share(seen.seen_share),
                words.share(seen.outside_share),
                words.count(seen.calls),
            )
            for seen in verdict.evidence
        )
        head = ("", "fault", "measured", "seen during it", "outside it", "clients' calls")
        yield from table(head, rows, right=3)


def _recovery(verdict: Verdict, plan: Plan) -> Iterator[str]:
    if verdict.recovery is not None:
        fault_s = max((f.end_s for f in plan.faults), default=0.0) - min((f.start_s for f in plan.faults), default=0.0)
        yield "\n### Recovery\n"
        rows = ((prose(p.label), prose(p.said), prose(p.note)) for p in recovery.parts(verdict.recovery, fault_s))
        yield from table(("", "took", ""), rows)
    if verdict.marks:
        yield "\nNoted meanwhile:\n"
        yield from (f"- {at}: {prose(text)}" for at, text in moments(verdict, plan))


def _orders(verdict: Verdict, orders: Sequence[FailedOrder]) -> Iterator[str]:
    follow_up = verdict.follow_up
    if not orders and follow_up is None:
        return
    yield "\n### Failed orders\n"
    if follow_up is not None:
        yield f"{words.followed_up(follow_up)}\n"
    problems = by_problem(orders)
    rows = (
        (code(one.name or "no answer"), words.count(len(one.orders)), code(one.orders[0].reference or words.NONE))
        for one in problems[:_MOST_ROWS]
    )
    if problems:
        yield from table(("problem", "orders", "the first"), rows)
        yield "\nAll of them are in `failed-orders.csv`."


def _validity(verdict: Verdict) -> Iterator[str]:
    broken = [check for check in verdict.validity if not check.ok]
    if broken:
        yield "\n### Why the run does not count\n"
        for check in broken:
            said = words.sentences(check.detail, check.remedy)
            yield f"- **{prose(check.title)}** ({code(check.name)}): {prose(said)}"
