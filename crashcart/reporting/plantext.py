"""A plan, for people: what would happen, to whom, for how long."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crashcart.blast import blast_radius
from crashcart.capacity import Foresight
from crashcart.model.design import links, proxies
from crashcart.model.plan import Plan
from crashcart.model.units import format_duration


def render_plan(plan: Plan, console: Console, capacity: Foresight | None = None) -> None:
    """Print it. Touches nothing."""
    console.print(Text(plan.title, style="bold"))
    console.print(Text(plan.hypothesis, style="italic"))
    console.print()
    console.print(_facts(plan))
    console.print(Text("\nTimeline", style="bold"))
    console.print(_timeline(plan))
    render_blast(plan, console)
    if capacity is not None:
        render_capacity(capacity, console)
    console.print(Text("\nExpected", style="bold"))
    console.print(_objectives(plan))
    for line in _rules(plan):
        console.print(Text(line))


def render_blast(plan: Plan, console: Console) -> None:
    """What will be broken, who feels it, what ends it."""
    broken = blast_radius(plan)
    console.print(Text("\nBlast radius", style="bold"))
    table = Table.grid(padding=(0, 2))
    if not broken:
        table.add_row(Text("breaks", style="dim"), Text("nothing: there is no fault, only load"))
    for one in broken:
        title = f"{one.title}: {one.kind}, {format_duration(one.lasts_s)} from {one.start_s:g} s on"
        table.add_row(Text("breaks", style="dim"), Text(title, style="yellow"))
        table.add_row("", Text(f"acts on {', '.join(one.what)}"))
        table.add_row("", Text(f"may reach {', '.join(one.reaches) or 'nobody: nothing depends on it'}"))
        table.add_row("", Text(f"not {', '.join(one.spared) or 'anybody else'}"))
        table.add_row("", Text(f"about {one.intents:.0f} purchase intents meanwhile"))
    table.add_row(Text("load", style="dim"), Text(f"{plan.profile}, up to {plan.peak_per_s:g} purchase intents/s"))
    for line in _guardrails(plan) or ["no guardrail: it goes on however bad it gets"]:
        table.add_row(Text("guardrail", style="dim"), Text(line))
    table.add_row(
        Text("abort", style="dim"),
        Text("Ctrl-C here, or `crashcart abort` from anywhere: all is undone within seconds"),
    )
    console.print(table)


def render_capacity(capacity: Foresight, console: Console) -> None:
    """What this machine is expected to hold."""
    console.print(Text("\nCapacity", style="bold"))
    console.print(_capacity(capacity))


def render_brief(plan: Plan, console: Console, capacity: Foresight) -> None:
    """The same in a line each, for logs."""
    for one in blast_radius(plan):
        line = f"breaks: {one.title}, {format_duration(one.lasts_s)}; may reach {', '.join(one.reaches) or 'nobody'}"
        console.print(Text(line), soft_wrap=True)
    console.print(Text.assemble("capacity: ", _capacity(capacity)), soft_wrap=True)


_LEVELS = {"unknown": "dim", "fine": "", "near": "yellow", "over": "bold red"}


def _capacity(capacity: Foresight) -> Text:
    return Text(capacity.text, style=_LEVELS[capacity.level])


def _guardrails(plan: Plan) -> list[str]:
    return [f"aborted when {g.slo} is below {g.below:g} for {g.duration_s:g} s" for g in plan.guardrails]


def _facts(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    expected = sum(phase.expected_intents for phase in plan.phases)
    services = ", ".join(plan.design.services)
    rows = (
        ("design", f"{plan.design.metadata.name} on the {plan.runtime} runtime: {services}"),
        ("links", f"{len(links(plan.design))}, through {len(proxies(plan.design))} proxies"),
        (
            "load",
            f"{plan.profile}, {plan.peak_per_s:g} purchase intents/s, about {expected:.0f} in all, seed {plan.seed}",
        ),
        ("takes", f"{format_duration(plan.duration_s)}, and some seconds to boot, to read the books and to judge"),
    )
    for name, text in rows:
        table.add_row(Text(name, style="dim"), Text(text))
    return table


def _timeline(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("from", "to", "what", "targets"):
        table.add_column(column)
    rows = [(phase.start_s, phase.end_s, f"phase {phase.name}", "") for phase in plan.phases]
    rows += [(f.start_s, f.end_s, f"{f.named or f.kind}: {f.title}", ", ".join(f.targets)) for f in plan.faults]
    for start_s, end_s, what, targets in sorted(rows, key=lambda row: (row[0], -row[1])):
        style = "yellow" if targets else ""
        table.add_row(f"{start_s:g} s", f"{end_s:g} s", Text(what, style=style), Text(targets))
    return table


def _objectives(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("phase", "SLO", "all", "strictest cohort", "events, about"):
        table.add_column(column, justify="right" if column in ("all", "events, about") else "left")
    for objective in plan.objectives:
        if objective.cohort != "all":
            continue
        cohorts = [
            o for o in plan.objectives if (o.slo, o.phase) == (objective.slo, objective.phase) and o.cohort != "all"
        ]
        strictest = max(cohorts, key=lambda o: (o.objective, o.cohort), default=None)
        shown = f"{strictest.cohort} {strictest.objective * 100:g} %" if strictest else "–"
        events = "failures only" if plan.slo(objective.slo).only_failures else f"{objective.expected_events:.0f}"
        cells = (objective.phase, objective.slo, f"{objective.objective * 100:g} %", shown, events)
        table.add_row(*map(Text, cells))
    return table


def _rules(plan: Plan) -> list[str]:
    lines = [""]
    if plan.recovery is not None:
        rule, slos = plan.recovery, ", ".join(plan.recovery.slos)
        lines.append(f"Recovery within {rule.within_s:g} s of the last fault, lasting {rule.hold_s:g} s: {slos}")
    lines.append(f"Books: {len(plan.truth.invariants)} invariants, over {', '.join(plan.truth.sources)}")
    return lines
