"""The panels of the timeline: purchases, goodput, latency, what went wrong, the load's own honesty."""

from __future__ import annotations

from collections.abc import Sequence

from crashcart.model.plan import Plan
from crashcart.model.profiles import PROFILES, expected_count
from crashcart.model.slo import Slo
from crashcart.reporting import svg, words
from crashcart.reporting.panel import Key, Panel, Strip, plot, rates, tail, while_any
from crashcart.reporting.scene import Scene
from crashcart.reporting.timeline import OUTCOMES, Bins, Timeline

_TALL_PX = 124.0
_LOW_PX = 84.0

OUTCOME_WORDS = {
    "ok": "completed",
    "declined": "declined",
    "sold_out": "sold out",
    "failed": "failed",
    "blocked": "blocked before ordering",
    "gave_up": "gave up waiting",
    "unknown": "unknown to the shopper",
}


def timeline_panels(scene: Scene, timeline: Timeline, plan: Plan) -> tuple[Panel, ...]:
    """All panels of purchases, in the order of reading; lanes and probes are drawn elsewhere."""
    panels = [purchases(scene, timeline, plan), goodput(scene, timeline)]
    panels += [latency(scene, timeline, plan), outcomes(scene, timeline)]
    return tuple(panels)


def purchases(scene: Scene, timeline: Timeline, plan: Plan) -> Panel:
    """Offered, sent and completed by planned second: the gaps are what got lost on the way."""
    bins = timeline.bins
    offered, sent = bins.per_s(timeline.offered), bins.per_s(timeline.sent)
    completed = bins.per_s(timeline.by_outcome["ok"])
    wanted = _scheduled(plan, bins)
    scale = svg.linear([*offered, *wanted], _TALL_PX)
    edges = bins.edges_s
    key = (
        Key("c-offered", "offered"),
        Key("c-sent", "order sent"),
        Key("c-ok", "completed"),
        Key("c-plan", "planned rate"),
    )
    body = (
        svg.area(scene.across, scale, edges, sent, [max(a, b) for a, b in zip(offered, sent, strict=True)], "c-gap"),
        svg.area(scene.across, scale, edges, [0.0] * bins.count, completed, "c-ok"),
        svg.steps(scene.across, scale, edges, while_any(scene, bins, sent), "c-sent"),
        svg.steps(scene.across, scale, edges, while_any(scene, bins, offered), "c-offered"),
        svg.steps(scene.across, scale, edges, wanted, "c-plan"),
    )
    labels = [
        ("offered", scale.y(tail(scene, bins, offered)), "c-offered"),
        ("order sent", scale.y(tail(scene, bins, sent)), "c-sent"),
    ]
    labels += [("completed", (scale.y(0) + scale.y(tail(scene, bins, completed))) / 2, "c-ok")]
    total, got, done = sum(timeline.offered), sum(timeline.sent), sum(timeline.by_outcome["ok"])
    note = f"{words.count(total)} offered, {words.count(got)} got as far as ordering, {words.count(done)} completed."

    def hint(i: int) -> str:
        return f"offered {timeline.offered[i]}, sent {timeline.sent[i]}, completed {timeline.by_outcome['ok'][i]}"

    drawing = plot(scene, scale, rates(scale), bins, hint, labels, body, f"Purchases per second. {note}")
    return Panel("purchases", "Purchases", "per second, by the moment planned", note, (Strip(drawing),), key)


def goodput(scene: Scene, timeline: Timeline) -> Panel:
    """Orders accepted as the clock saw it, over what was offered."""
    bins = timeline.bins
    offered, done = bins.per_s(timeline.offered), bins.per_s(timeline.completed)
    scale = svg.linear([*offered, *done], _LOW_PX)
    body = (
        svg.area(scene.across, scale, bins.edges_s, [0.0] * bins.count, done, "c-ok"),
        svg.steps(scene.across, scale, bins.edges_s, done, "c-ok"),
        svg.steps(scene.across, scale, bins.edges_s, while_any(scene, bins, offered), "c-faint"),
    )
    by_phase = [(phase.name, _mean(bins, done, phase.start_s, phase.end_s)) for phase in scene.phases]
    said = ", ".join(
        f"{words.decimal(rate)} in {name}" for name, rate in by_phase if rate is not None and name != "warmup"
    )
    note = f"Completed per second: {said}." if said else ""
    key = (Key("c-ok", "completed"), Key("c-faint", "offered"))
    labels = [
        ("completed", scale.y(tail(scene, bins, done)), "c-ok"),
        ("offered", scale.y(tail(scene, bins, offered)), "c-faint"),
    ]

    def hint(i: int) -> str:
        return f"{timeline.completed[i]} completed, {timeline.offered[i]} offered"

    drawing = plot(scene, scale, rates(scale), bins, hint, labels, body, f"Goodput. {note}")
    return Panel("goodput", "Goodput", "orders completed per second, by the clock", note, (Strip(drawing),), key)


def latency(scene: Scene, timeline: Timeline, plan: Plan) -> Panel:
    """How long shoppers waited for a last answer, on a log scale, with the SLO's threshold."""
    bins, quantiles = timeline.bins, timeline.latency_ms
    threshold = checkout_threshold(plan)
    everything = [value for values in quantiles.values() for value in values]
    limit = threshold[0] if threshold else None
    scale = svg.log([*everything, limit], _TALL_PX, least=1.0, most=120_000.0)
    body, labels = [], []
    for name in ("p50", "p95", "p99"):
        points = [(bins.middle_s(i), value) for i, value in enumerate(quantiles[name])]
        body.append(svg.line(scene.across, scale, points, f"c-{name}"))
        if any(quantiles[name]):
            labels.append((name, scale.y(tail(scene, bins, quantiles[name])), f"c-{name}"))
    if threshold:
        y = scale.y(threshold[0])
        body += [
            svg.level(y, "objective"),
            svg.text("100%", y - 5, threshold[1], "objective-name", dx_px=-4, anchor="end"),
        ]
    key = (Key("c-p99", "p99"), Key("c-p95", "p95"), Key("c-p50", "p50"))
    worst = max((value for value in quantiles["p99"] if value is not None), default=None)
    note = f"Worst p99 {words.milliseconds(worst)}." if worst is not None else "Nothing was answered."

    def hint(i: int) -> str:
        return ", ".join(f"{name} {words.milliseconds(quantiles[name][i])}" for name in ("p50", "p95", "p99"))

    ticks = [words.milliseconds(value) for value in scale.ticks()]
    drawing = plot(scene, scale, ticks, bins, hint, labels, body, f"Checkout latency. {note}")
    unit = "from the intended click to the last answer, log scale"
    return Panel("latency", "Checkout latency", unit, note, (Strip(drawing),), key)


def outcomes(scene: Scene, timeline: Timeline) -> Panel:
    """Everything but completed purchases, stacked."""
    bins = timeline.bins
    shown = [name for name in OUTCOMES if name != "ok"]
    lower: tuple[float, ...] = (0.0,) * bins.count
    stacks = []
    for name in shown:
        upper = tuple(low + rate for low, rate in zip(lower, bins.per_s(timeline.by_outcome[name]), strict=True))
        stacks.append((name, lower, upper))
        lower = upper
    scale = svg.linear(lower, _LOW_PX)
    body = [svg.area(scene.across, scale, bins.edges_s, low, high, f"c-{name}") for name, low, high in stacks]
    totals = {name: sum(timeline.by_outcome[name]) for name in shown}
    key = tuple(
        Key(f"c-{name}", f"{OUTCOME_WORDS[name]} {words.count(totals[name])}")
        for name in reversed(shown)
        if totals[name]
    )
    if not any(totals.values()):
        return Panel("outcomes", "Not completed", "", "Nothing: every purchase was completed.", ())

    def hint(i: int) -> str:
        parts = [
            f"{OUTCOME_WORDS[name]} {timeline.by_outcome[name][i]}" for name in shown if timeline.by_outcome[name][i]
        ]
        return ", ".join(parts) or "all completed"

    said = ", ".join(entry.label for entry in key)
    drawing = plot(scene, scale, rates(scale), bins, hint, (), body, f"Purchases not completed: {said}")
    return Panel("outcomes", "Not completed", "per second, stacked", "", (Strip(drawing),), key, always_key=True)


def generator(scene: Scene, timeline: Timeline) -> Panel:
    """Whether the load itself did what it was asked to."""
    bins = timeline.bins
    scheduled, started = bins.per_s(timeline.sessions_scheduled), bins.per_s(timeline.sessions_started)
    scale = svg.linear([*scheduled, *started], _LOW_PX)
    body = (
        svg.area(
            scene.across,
            scale,
            bins.edges_s,
            started,
            [max(a, b) for a, b in zip(scheduled, started, strict=True)],
            "c-gap",
        ),
        svg.steps(scene.across, scale, bins.edges_s, while_any(scene, bins, started), "c-sent"),
        svg.steps(scene.across, scale, bins.edges_s, while_any(scene, bins, scheduled), "c-offered"),
    )
    late = max((value for value in timeline.late_p99_ms if value is not None), default=None)
    asked, began = sum(timeline.sessions_scheduled), sum(timeline.sessions_started)
    note = f"{words.count(began)} of {words.count(asked)} scheduled sessions began."
    note += f" Late by at most {words.milliseconds(late)} (p99 of the worst second)." if late is not None else ""
    key = (Key("c-offered", "scheduled"), Key("c-sent", "begun"))
    labels = [
        ("scheduled", scale.y(tail(scene, bins, scheduled)), "c-offered"),
        ("begun", scale.y(tail(scene, bins, started)) + 1, "c-sent"),
    ]

    def hint(i: int) -> str:
        lateness = words.milliseconds(timeline.late_p99_ms[i])
        return f"scheduled {timeline.sessions_scheduled[i]}, begun {timeline.sessions_started[i]}, late p99 {lateness}"

    drawing = plot(scene, scale, rates(scale), bins, hint, labels, body, f"The load itself. {note}")
    return Panel("load", "The load itself", "shoppers arriving per second", note, (Strip(drawing),), key)


def checkout_threshold(plan: Plan) -> tuple[float, str] | None:
    """(milliseconds, words) of the latency SLO of checkout, where the plan has one."""
    for slo in plan.slos:
        labels = _labels(slo)
        if labels.get("sli") == "checkout" and "le" in labels and slo.objectives.get("all"):
            limit_ms = float(labels["le"]) * 1000
            return limit_ms, f"{words.target(slo.objectives['all'])} within {words.milliseconds(limit_ms)}"
    return None


def _labels(slo: Slo) -> dict[str, str]:
    return {matcher.label: matcher.value for matcher in slo.good.matchers if matcher.op == "="}


def _scheduled(plan: Plan, bins: Bins) -> tuple[float | None, ...]:
    """The schedule's own rate; empty of noise, so that a load that fell short stands out."""
    profile = PROFILES.get(plan.profile)
    if profile is None:
        return (None,) * bins.count
    spans = [(bins.start_s(i), bins.end_s(i)) for i in range(bins.count)]
    return tuple(
        expected_count(profile, plan.peak_per_s, plan.phases, start, end) / (end - start)
        if start < plan.duration_s
        else None
        for start, end in spans
    )


def _mean(bins: Bins, rates: Sequence[float], start_s: float, end_s: float) -> float | None:
    inside = [rate for i, rate in enumerate(rates) if start_s <= bins.middle_s(i) < end_s]
    return sum(inside) / len(inside) if inside else None
