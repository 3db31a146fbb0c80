"""One lane for each cohort, one for each watched proxy: small multiples on the timeline's axis."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from crashcart.model.plan import Plan
from crashcart.model.verdict import ObjectiveResult, Outcome, Verdict
from crashcart.reporting import svg, words
from crashcart.reporting.panel import Key, Panel, Strip
from crashcart.reporting.scene import Scene
from crashcart.reporting.timeline import EXCUSED, Lane, Probes, Timeline

_LANE_PX = 28.0
_PROBE_PX = 84.0
_FAILED_PX = 12.0
_FULL_HEIGHTS = (0.05, 0.1, 0.25, 0.5, 1.0)


def cohort_panel(scene: Scene, timeline: Timeline, plan: Plan, verdict: Verdict) -> Panel | None:
    """Share of purchases that did not come through, by cohort; the worst one stands out. None without cohorts."""
    lanes = [lane for lane in timeline.lanes if sum(lane.valid)]
    if not lanes:
        return None
    if not any(sum(lane.bad) for lane in lanes):
        excused = any(sum(timeline.by_outcome[end]) for end in EXCUSED)
        note = f"In all {len(lanes)} cohorts every purchase was completed"
        note += ", but for those declined or sold out." if excused else "."
        return Panel("cohorts", "Purchases by cohort", "", note, ())
    objectives = _purchase_objectives(plan, verdict)
    highest = max(bad / valid for lane in lanes for bad, valid in zip(lane.bad, lane.valid, strict=True) if valid)
    full = next(height for height in _FULL_HEIGHTS if height >= highest)
    worst = _worst(lanes, objectives)
    strips = tuple(_lane(scene, timeline, lane, full, objectives.get(lane.name), lane is worst) for lane in lanes)
    note = ""
    if worst is not None:
        note = f"Worst: {words.cohort(worst.name)}, {_success(worst, objectives.get(worst.name))}."
    unit = f"share of purchases not completed; a full bar is {words.target(full)}"
    return Panel("cohorts", "Purchases by cohort", unit, note, strips)


def _purchase_objectives(plan: Plan, verdict: Verdict) -> dict[str, ObjectiveResult]:
    """Results of the SLO on purchases by cohort, of the phase in which they were worst for all."""
    names = {
        slo.name for slo in plan.slos if any(m.label == "sli" and m.value == "purchase" for m in slo.good.matchers)
    }
    found = [one for one in verdict.objectives if one.slo in names and one.observed is not None]
    if not found:
        return {}
    phase = min(found, key=lambda one: (one.cohort != "all", one.observed or 0.0)).phase
    return {one.cohort: one for one in found if one.phase == phase}


def _worst(lanes: Sequence[Lane], objectives: dict[str, ObjectiveResult]) -> Lane | None:
    """By the verdict's margin where there is one, else by the share lost; None where nothing was lost."""
    lossy = [lane for lane in lanes if sum(lane.bad)]
    judged = [lane for lane in lossy if lane.name in objectives]
    if judged:
        return min(judged, key=lambda lane: objectives[lane.name].margin or 0.0)
    return max(lossy, key=lambda lane: sum(lane.bad) / sum(lane.valid), default=None)


def _success(lane: Lane, judged: ObjectiveResult | None) -> str:
    if judged is not None:
        return f"{words.share(judged.observed)} of {words.count(judged.valid)} completed in {judged.phase}"
    valid = sum(lane.valid)
    return f"{words.share(1 - sum(lane.bad) / valid)} of {words.count(valid)} completed"


def _lane(
    scene: Scene, timeline: Timeline, lane: Lane, full: float, judged: ObjectiveResult | None, worst: bool
) -> Strip:
    cells, css = timeline.cells, "c-worst" if worst else "c-lost"
    scale = svg.Linear(full, _LANE_PX)
    shares = [bad / valid if valid else 0.0 for bad, valid in zip(lane.bad, lane.valid, strict=True)]
    bars = svg.area(scene.across, scale, cells.edges_s, [0.0] * cells.count, shares, css)
    hits = Markup("").join(
        svg.rect(
            *scene.across.span(cells.start_s(i), cells.end_s(i)), 0, _LANE_PX, "hit", _cell(scene, timeline, lane, i)
        )
        for i in range(cells.count)
    )
    observed = words.share(judged.observed if judged else 1 - sum(lane.bad) / sum(lane.valid))
    met = "" if judged is None or judged.outcome is Outcome.PASS else " ✗" if judged.outcome is Outcome.FAIL else " ?"
    value = f"{observed}{met}"
    label = svg.text("100%", _LANE_PX / 2 + 5, value, f"label {'c-worst' if worst else 'c-lane'}", dx_px=8)
    summary = f"{words.cohort(lane.name)}: {_success(lane, judged)}"
    drawing = svg.drawing(
        _LANE_PX,
        summary,
        scene.backdrop(_LANE_PX),
        svg.level(_LANE_PX, "grid"),
        svg.curves(_LANE_PX, bars),
        label,
        hits,
    )
    note = words.target(lane.declared_share)
    return Strip(drawing, words.cohort(lane.name), note, "worst" if worst else "", value)


def _cell(scene: Scene, timeline: Timeline, lane: Lane, i: int) -> str:
    start, end = timeline.cells.start_s(i), timeline.cells.end_s(i)
    span = f"{words.clock(start, scene.across.whole_s)} to {words.clock(end, scene.across.whole_s)}"
    return f"{words.cohort(lane.name)}, {span}: {lane.bad[i]} of {lane.valid[i]} not completed"


def evidence_panel(scene: Scene, timeline: Timeline) -> Panel | None:
    """Probes through each watched proxy and beside it: the fault must show on one side only. None without probes."""
    proxies = sorted({probes.proxy for probes in timeline.probes})
    if not proxies:
        return None
    sides = {(probes.proxy, probes.side): probes for probes in timeline.probes}
    known = [value for probes in timeline.probes for value in probes.median_ms]
    scale = svg.log(known, _PROBE_PX, least=0.05, most=10_000.0)
    strips = tuple(
        Strip(_probe(scene, timeline, scale, sides.get((proxy, "through")), sides.get((proxy, "beside"))), proxy)
        for proxy in proxies
    )
    key = (Key("c-through", "through the proxy"), Key("c-beside", "beside it"), Key("c-unanswered", "not answered"))
    unit = "round trip of our own probes, log scale"
    return Panel(
        "evidence", "Evidence", unit, "A fault must show through the proxy and not beside it.", strips, key, True
    )


def _probe(scene: Scene, timeline: Timeline, scale: svg.Log, through: Probes | None, beside: Probes | None) -> Markup:
    bins, parts, flat = timeline.probe_bins, [], []
    for probes, css, top in ((through, "c-through", 0.0), (beside, "c-beside", _FAILED_PX / 2)):
        if probes is None:
            continue
        points = [(bins.middle_s(i), value) for i, value in enumerate(probes.median_ms)]
        parts.append(svg.line(scene.across, scale, points, css))
        flat += [
            svg.rect(
                *scene.across.span(bins.start_s(a), bins.end_s(b)), top, _FAILED_PX / 2 - 1, f"unanswered {css}", title
            )
            for a, b, title in _failed(probes, bins.width_s)
        ]
    ticks = [words.milliseconds(value) for value in scale.ticks()]
    height = _PROBE_PX
    summary = "; ".join(_said(probes) for probes in (through, beside) if probes is not None)
    return svg.drawing(
        height + 2, summary, scene.backdrop(height), svg.axis(scale, ticks), svg.curves(height, *parts), *flat
    )


def _failed(probes: Probes, width_s: float) -> list[tuple[int, int, str]]:
    """(first bin, last bin, words) of the stretches in which most probes failed."""
    stretches: list[tuple[int, int]] = []
    for i, failed in enumerate(probes.failed_share):
        if failed is None or failed < 0.5:
            continue
        if stretches and i - stretches[-1][1] <= max(1, round(0.5 / width_s)):
            stretches[-1] = (stretches[-1][0], i)
        else:
            stretches.append((i, i))
    return [
        (a, b, f"not answered {probes.side} the proxy for {words.seconds((b - a + 1) * width_s)}") for a, b in stretches
    ]


def _said(probes: Probes) -> str:
    failed = sum(1 for share in probes.failed_share if share is not None and share >= 0.5)
    measured = sorted(value for value in probes.median_ms if value is not None)
    middle = words.milliseconds(measured[len(measured) // 2]) if measured else "no answer"
    slices = len(probes.failed_share)
    return f"{probes.side} {probes.proxy}: typically {middle}, not answered in {failed} of {slices} slices"
