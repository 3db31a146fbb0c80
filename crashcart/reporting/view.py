"""What the page shows, put together from verdict, plan and events: plain data for the templates."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import msgspec

from crashcart.model.plan import Effect, Plan, PlannedFault
from crashcart.model.recording import Event, Manifest
from crashcart.model.verdict import (
    EvidenceResult,
    InvariantResult,
    LinkNumbers,
    Outcome,
    RecoveryResult,
    Verdict,
)
from crashcart.reporting import words
from crashcart.reporting.scene import Scene

WARMUP = "warmup"


class Figure(msgspec.Struct, frozen=True):
    """A key number of the first screen."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    """`bad`, `unsure` or nothing."""


class LinkRows(msgspec.Struct, frozen=True):
    """One link, phase by phase."""

    link: str
    phases: tuple[LinkNumbers, ...]

    @property
    def eventful(self) -> bool:
        """Whether any call failed, was not sent or was repeated."""
        return any(one.failed or one.short_circuited or one.retries for one in self.phases)


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
    cost = verdict.cost
    lost = cost.purchases_lost
    note = f"{words.plural(lost, 'purchase')} lost" if lost else "no purchase was lost"
    note += f", at {words.money(cost.average_order_cents)} on average" if lost and cost.average_order_cents else ""
    tone = "bad" if lost and verdict.outcome is not Outcome.PASS else ""
    return Figure("Money lost", words.money(cost.money_lost_cents), note, tone)


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


def links_by_phase(verdict: Verdict) -> tuple[LinkRows, ...]:
    """In the verdict's order, eventful ones first: calls that came to nothing, or were repeated."""
    rows: dict[str, list[LinkNumbers]] = {}
    for one in verdict.links:
        rows.setdefault(one.link, []).append(one)
    found = [LinkRows(link, tuple(numbers)) for link, numbers in rows.items() if any(map(_used, numbers))]
    return tuple(sorted(found, key=lambda link: not link.eventful))


def _used(numbers: LinkNumbers) -> bool:
    return bool(numbers.calls or numbers.short_circuited)


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
                kind=(fault.named or fault.kind) if fault else "",
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
    kind = fault.named or fault.kind
    return f"{kind} · {settings}" if settings else kind


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


_MOST_HAPPENINGS = 300


def happenings(events: Sequence[Event], whole_s: float) -> tuple[tuple[str, str, str], ...]:
    """(time, event, data) of what happened, for people; of very much, the first and what ended it."""
    told = [event for event in events if event.event != "cpu"]
    if len(told) > _MOST_HAPPENINGS:
        half = _MOST_HAPPENINGS // 2
        left_out = Event(told[half].t, "", "…", {"left out": len(told) - 2 * half})
        told = [*told[:half], left_out, *told[-half:]]
    return tuple(
        (
            words.clock(round(event.t, 1), whole_s),
            event.event,
            ", ".join(_datum(key, cell) for key, cell in event.data.items()),
        )
        for event in told
    )


def _datum(key: str, cell: object) -> str:
    if isinstance(cell, dict):
        inner = ", ".join(f"{words.clean(str(name))} {words.value(value)}" for name, value in cell.items())
        return f"{words.clean(key)}: {inner or 'none'}"
    if isinstance(cell, list):
        return f"{words.clean(key)}: {len(cell)}"
    return f"{words.clean(key)} {words.value(cell)}"
