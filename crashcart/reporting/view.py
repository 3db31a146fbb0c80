"""What the page shows, put together from verdict, plan and events: plain data for the templates."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from markupsafe import Markup

from crashcart.model.plan import Effect, Plan, PlannedFault
from crashcart.model.recording import Event, Manifest
from crashcart.model.verdict import EvidenceResult, InvariantResult, Outcome, RecoveryResult, Verdict
from crashcart.reporting import logs, svg, words
from crashcart.reporting.scene import Scene

WARMUP = "warmup"
_MOST_STORIES = 3
"""Of each rule; the other references lead to the logs by the same command."""


class Figure(msgspec.Struct, frozen=True):
    """A key number of the first screen."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    """`bad`, `unsure` or nothing."""


class Story(msgspec.Struct, frozen=True):
    """What the logs say of a witness's reference."""

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


class EvidenceView(msgspec.Struct, frozen=True):
    """What a fault should have shown, and what it did."""

    result: EvidenceResult
    kind: str
    targets: str
    expected: str
    when: str


def key_figures(verdict: Verdict) -> tuple[Figure, ...]:
    """The numbers that a boss asks for. Warm-up is left out: nothing in it is judged."""
    phases = [phase for phase in verdict.phases if phase.name != WARMUP]
    offered, ok, unknown = (sum(getattr(phase, end) for phase in phases) for end in ("offered", "ok", "unknown"))
    refused = sum(phase.declined + phase.sold_out for phase in phases)
    early = sum(phase.blocked + phase.gave_up for phase in phases)
    failed = sum(phase.failed for phase in phases) + early
    bad = "" if verdict.outcome is Outcome.PASS else "bad"  # what the hypothesis allowed is not alarming
    done = f"{words.share(ok / offered)} of offered" if offered else "nothing was offered"
    figures = [
        Figure("Offered", words.count(offered), "purchases, warm-up left out"),
        Figure(
            "Completed", words.count(ok), done + (f"; {words.count(refused)} declined or sold out" if refused else "")
        ),
        Figure(
            "Failed",
            words.count(failed),
            f"{words.count(early)} of them before ordering" if failed else "",
            bad if failed else "",
        ),
        Figure("Unknown", words.count(unknown), "to the shopper", "unsure" if unknown and bad else ""),
        _money(verdict),
    ]
    return (*figures, *_recovery_figure(verdict.recovery), _books(verdict.invariants))


def _money(verdict: Verdict) -> Figure:
    lost = verdict.cost.purchases_lost
    note = f"{words.plural(lost, 'purchase')} that did not come through" if lost else "no purchase was lost"
    return Figure(
        "Money lost",
        words.money(verdict.cost.money_lost_cents),
        note,
        "bad" if lost and verdict.outcome is not Outcome.PASS else "",
    )


def _recovery_figure(recovery: RecoveryResult | None) -> Iterator[Figure]:
    if recovery is None:
        return
    tone = {Outcome.PASS: "", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "unsure"}[recovery.outcome]
    within = f"after the fault; {words.seconds(recovery.within_s)} allowed"
    if recovery.recovered_after_s is None:
        yield Figure("Recovery", "never", f"in {words.seconds(recovery.observed_for_s)} observed", tone)
    else:
        yield Figure("Recovery", words.seconds(recovery.recovered_after_s), within, tone)


def _books(invariants: Sequence[InvariantResult]) -> Figure:
    errors = sum(law.violations for law in invariants)
    broken = sum(law.outcome is Outcome.FAIL for law in invariants)
    unsure = sum(law.outcome is Outcome.INCONCLUSIVE for law in invariants)
    note = f"{words.plural(len(invariants), 'invariant')} examined" if invariants else "no invariant was examined"
    if broken:
        note = f"{words.count(broken)} of {words.plural(len(invariants), 'invariant')} broken"
    elif unsure:
        note = f"{words.count(unsure)} of {words.plural(len(invariants), 'invariant')} not settled"
    tone = "bad" if broken else "unsure" if unsure or not invariants else ""
    return Figure("Errors in the books", words.count(errors) if invariants else words.NONE, note, tone)


def laws(verdict: Verdict, plan: Plan, recording: Path) -> tuple[LawView, ...]:
    """Broken ones first, then those that could not be settled; otherwise in the verdict's order."""
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
    ranked = sorted(verdict.invariants, key=lambda law: order.index(law.outcome))
    whys = {law.name: law.why for law in plan.truth.invariants}
    chosen = {law.name: _references(law)[:_MOST_STORIES] for law in ranked}
    found = logs.find_lines(recording / "logs", [reference for names in chosen.values() for reference in names])
    told: set[str] = set()
    views = []
    for law in ranked:
        columns = tuple(dict.fromkeys(key for witness in law.witnesses for key, _ in words.cells(witness.row)))
        fresh = tuple(reference for reference in chosen[law.name] if reference not in told)
        views.append(
            LawView(
                result=law,
                why=whys.get(law.name, ""),
                columns=columns,
                rows=tuple(tuple(words.value(witness.row.get(key)) for key in columns) for witness in law.witnesses),
                stories=tuple(Story(one, logs.search_command(one), found.get(one, ())) for one in fresh),
                told=tuple(reference for reference in chosen[law.name] if reference in told),
            )
        )
        told.update(fresh)
    return tuple(views)


def _references(law: InvariantResult) -> tuple[str, ...]:
    """References of its witnesses that can be looked for, each once."""
    named = (witness.row.get("reference") for witness in law.witnesses)
    return tuple(dict.fromkeys(str(reference) for reference in named if logs.is_plain(reference)))


def evidence(verdict: Verdict, plan: Plan, scene: Scene) -> tuple[EvidenceView, ...]:
    """Each fault's evidence beside what was declared of it."""
    planned = {fault.id: fault for fault in plan.faults}
    windows = {window.fault: window for window in scene.windows}
    views = []
    for result in verdict.evidence:
        fault, window = planned.get(result.fault), windows.get(result.fault)
        when = "was not injected"
        if window is not None:
            when = f"from {words.seconds(window.start_s)} to {words.seconds(window.end_s)}"
        views.append(
            EvidenceView(
                result=result,
                kind=fault.kind if fault else "",
                targets=", ".join(fault.targets) if fault else "",
                expected=_expected(fault.effect) if fault else "",
                when=when,
            )
        )
    return tuple(views)


def _expected(effect: Effect) -> str:
    return {
        "added-latency": f"at least {words.milliseconds(effect.at_least_ms)} more through the proxy than beside it",
        "unreachable": "no answer through the proxy, an answer beside it",
        "instance-down": "no answer beside the proxy: the instance is gone",
        "throughput": (
            f"a whole answer at {words.decimal(effect.at_most_kb_s)} kB a second or slower through the proxy, "
            "faster beside it"
        ),
        "cut-short": "answers that end early through the proxy, whole ones beside it",
        "observed": "its own observer sees it, by another path than the one that brought it about",
        "counted": _counted(effect),
        "none": "no difference between through and beside",
    }[effect.measure]


def _counted(effect: Effect) -> str:
    if effect.counted is None:
        return "the clients' own counters show it"
    low, high = words.target(effect.counted.share_from), words.target(effect.counted.share_to)
    return f"{low} to {high} of what the clients counted"


def fault_line(fault: PlannedFault) -> str:
    """`toxiproxy/down · link: payments.psp-a`."""
    settings = ", ".join(f"{key}: {words.value(value)}" for key, value in fault.settings.items())
    return f"{fault.kind} · {settings}" if settings else fault.kind


def recovery_drawing(recovery: RecoveryResult, scene: Scene) -> Markup:
    """The fault and the time in which shoppers felt it, one below the other, on an axis of its own."""
    if not scene.windows:
        return Markup("")
    start = min(window.start_s for window in scene.windows)
    end = max(window.end_s for window in scene.windows)
    across = svg.Across(max(end - start + recovery.observed_for_s, 1.0))
    fault_s = end - start
    parts = [
        svg.rect(*across.span(0, fault_s), 2, 20, "fault-bar"),
        svg.text("0", 16, "fault acts", "fault-name", dx_px=6),
        svg.rule(across.percent(fault_s), 62, "mark"),
        svg.rule(across.percent(fault_s + recovery.within_s), 62, "mark breach"),
        svg.text(across.percent(fault_s + recovery.within_s), 76, "due", "mark-name breach", dx_px=0, anchor="middle"),
    ]
    if recovery.breached_after_s is not None:
        over = across.whole_s if recovery.recovered_after_s is None else fault_s + recovery.recovered_after_s
        parts.append(svg.rect(*across.span(recovery.breached_after_s, over), 28, 20, "felt"))
        parts.append(svg.text(across.percent(recovery.breached_after_s), 42, "shoppers feel it", "felt-name", dx_px=6))
    if recovery.recovered_after_s is not None:
        healthy = fault_s + recovery.recovered_after_s
        parts.append(svg.rect(*across.span(healthy, across.whole_s), 28, 20, "healthy"))
        parts.append(svg.text(across.percent(healthy), 42, "healthy to the end", "healthy-name", dx_px=6))
    return svg.drawing(80, f"Recovery: {recovery.reason}", *parts)


def command(plan: Plan) -> str:
    """How to run it again."""
    parts = ["crashcart", "run", plan.experiment_file, "--seed", str(plan.seed), "--design", plan.design.metadata.name]
    for override in plan.overrides:
        if not override.startswith(("load.seed=", "design=")):
            parts += ["--set", override]
    return shlex.join(words.clean(part) for part in parts)


def how_it_was_run(plan: Plan, manifest: Manifest | None, verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """(name, value) of everything that another run should share."""
    timeline = ", ".join(f"{phase.name} {words.seconds(phase.duration_s)}" for phase in plan.phases)
    entries = [
        ("Run", verdict.run_id),
        ("Ended", verdict.ended),
        ("Design", f"{plan.design.metadata.name}, {words.plural(len(plan.design.services), 'service')}"),
        ("Runtime", plan.runtime),
        ("Load", f"{plan.profile}, {plan.peak_per_s:g} purchases a second at its peak"),
        ("Seed", str(plan.seed)),
        ("Timeline", timeline),
        *((f"Fault {fault.id}", fault_line(fault)) for fault in plan.faults),
    ]
    if manifest is None:
        return (*entries, ("crashcart", verdict.crashcart_version), ("Recording", "incomplete: it has no manifest"))
    machine = manifest.machine
    busy = verdict.cost.neighbours_busy_share
    return (
        *entries,
        ("Started", manifest.started_wall),
        ("Finished", manifest.finished_wall),
        ("crashcart", f"{manifest.crashcart_version}, commit {manifest.commit or 'not known'}"),
        ("Machine", f"{words.plural(machine.cores, 'core')}, {words.count(machine.memory_mib)} MiB, {machine.kernel}"),
        ("Python", machine.python),
        ("Tools", ", ".join(f"{name} {version}" for name, version in sorted(machine.tools.items()))),
        (
            "Neighbours",
            "not measured" if busy is None else f"{words.share(busy)} of the machine's CPU time was not ours",
        ),
    )


def happenings(events: Sequence[Event], whole_s: float) -> tuple[tuple[str, str, str], ...]:
    """(time, event, data) of what happened, for people."""
    return tuple(
        (
            words.clock(round(event.t, 1), whole_s),
            event.event,
            ", ".join(_datum(key, cell) for key, cell in event.data.items()),
        )
        for event in events
        if event.event != "cpu"
    )


def _datum(key: str, cell: object) -> str:
    if isinstance(cell, dict):
        inner = ", ".join(f"{words.clean(str(name))} {words.value(value)}" for name, value in cell.items())
        return f"{words.clean(key)}: {inner or 'none'}"
    if isinstance(cell, list):
        return f"{words.clean(key)}: {len(cell)}"
    return f"{words.clean(key)} {words.value(cell)}"
