"""One lane for each cohort, one for each watched proxy: small multiples on the timeline's axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from crashcart.model.plan import Plan
from crashcart.model.verdict import ObjectiveResult, Outcome, Verdict
from crashcart.reporting import svg, words
from crashcart.reporting.panel import Key, Panel, Strip
from crashcart.reporting.scene import Scene
from crashcart.reporting.timeline import EXCUSED, OBSERVED, Bins, Lane, Probes, Timeline

_LANE_PX = 28.0
_PROBE_PX = 84.0
_FAILED_PX = 12.0
_MOST_PROXIES = 24
_LONGEST_GAP_S = 1.2
"""Between two probes that a curve connects."""
_STANDS_OUT = 3.5
"""Standard errors by which a cohort must differ from the rest of its dimension …"""
_FEWEST_LOST = 5
"""… and purchases that it must have lost to be named: of ten cohorts chance rarely makes one like that."""
_MISSED: dict[Outcome | None, str] = {Outcome.FAIL: " ✗", Outcome.INCONCLUSIVE: " ?"}
_FULL_HEIGHTS = (0.05, 0.1, 0.25, 0.5, 1.0)


def cohort_panel(scene: Scene, timeline: Timeline, plan: Plan, verdict: Verdict) -> Panel | None:
    """Share of purchases that did not come through, by cohort; one that stands out is marked. None without cohorts."""
    lanes = [lane for lane in timeline.lanes if sum(lane.valid)]
    if not lanes:
        return None
    if not any(sum(lane.bad) for lane in lanes):
        excused = any(sum(timeline.by_outcome[end]) for end in EXCUSED)
        note = f"In all {len(lanes)} cohorts every purchase was completed"
        note += ", but for those declined or sold out." if excused else "."
        return Panel("cohorts", "Purchases by cohort", "", note, ())
    phase = _worst_phase(lanes)
    judged = _judged(plan, verdict, phase)
    scores = {lane.name: _score(lane, phase, judged) for lane in lanes}
    highest = max(bad / valid for lane in lanes for bad, valid in zip(lane.bad, lane.valid, strict=True) if valid)
    full = next(height for height in _FULL_HEIGHTS if height >= highest)
    worst = _outstanding(lanes, scores)
    strips = tuple(_lane(scene, timeline, lane, full, scores[lane.name], lane is worst) for lane in lanes)
    note = f"In the phase {phase} no cohort stands out."
    if worst is not None:
        note = f"Worst: {words.cohort(worst.name)}, {scores[worst.name].said} completed in the phase {phase}."
    unit = f"share of purchases not completed; a full bar is {words.target(full)}; at the right, completed in {phase}"
    return Panel("cohorts", "Purchases by cohort", unit, note, strips)


class _Score(msgspec.Struct, frozen=True):
    """How many of a cohort's purchases came through in the phase that is looked at."""

    done: int
    valid: int
    outcome: Outcome | None
    """None where no objective was set for it."""

    @property
    def share(self) -> float | None:
        return self.done / self.valid if self.valid else None

    @property
    def said(self) -> str:
        return f"{words.share(self.share)} of {words.count(self.valid)}"


def _worst_phase(lanes: Sequence[Lane]) -> str:
    """The phase in which the least share came through. Each dimension holds all shoppers: the first one's is enough."""
    first = [lane.completed_by_phase for lane in lanes if lane.dimension == lanes[0].dimension]
    totals: dict[str, list[int]] = {}
    for by_phase in first:
        for phase, (done, valid) in by_phase.items():
            total = totals.setdefault(phase, [0, 0])
            total[0] += done
            total[1] += valid
    return min(totals, key=lambda phase: (totals[phase][0] / totals[phase][1], phase))


def _judged(plan: Plan, verdict: Verdict, phase: str) -> dict[str, ObjectiveResult]:
    """Results of the SLO on purchases in that phase, by cohort; empty where none was expected of it."""
    names = {
        slo.name for slo in plan.slos if any(m.label == "sli" and m.value == "purchase" for m in slo.good.matchers)
    }
    return {one.cohort: one for one in verdict.objectives if one.slo in names and one.phase == phase and one.valid}


def _score(lane: Lane, phase: str, judged: dict[str, ObjectiveResult]) -> _Score:
    """The verdict's own count where there is one, so that the page says one thing."""
    if lane.name in judged:
        result = judged[lane.name]
        return _Score(result.good, result.valid, result.outcome)
    return _Score(*lane.completed_by_phase.get(phase, (0, 0)), None)


def _outstanding(lanes: Sequence[Lane], scores: dict[str, _Score]) -> Lane | None:
    """The cohort that is worse than the rest of its dimension by more than chance; None where all are much alike."""

    def excess(lane: Lane) -> float:
        others = [scores[one.name] for one in lanes if one.dimension == lane.dimension and one is not lane]
        mine, rest = scores[lane.name], sum(one.valid for one in others)
        if mine.valid - mine.done < _FEWEST_LOST or not rest:
            return 0.0
        expected = (sum(one.done for one in others) + mine.done) / (rest + mine.valid)
        spread = math.sqrt(expected * (1 - expected) * (1 / mine.valid + 1 / rest)) or math.inf
        return (sum(one.done for one in others) / rest - mine.done / mine.valid) / spread

    worst = max(lanes, key=excess)
    return worst if excess(worst) > _STANDS_OUT else None


def _lane(scene: Scene, timeline: Timeline, lane: Lane, full: float, score: _Score, worst: bool) -> Strip:
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
    value = f"{words.share(score.share)}{_MISSED.get(score.outcome, '')}"
    label = svg.text("100%", _LANE_PX / 2 + 5, value, f"label {'c-worst' if worst else 'c-lane'}", dx_px=8)
    drawing = svg.drawing(
        _LANE_PX,
        f"{words.cohort(lane.name)}: {score.said} completed",
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


_SHOWS = {
    "added-latency": "A slow link shows through the proxy and not beside it.",
    "unreachable": "A cut link shows through the proxy and not beside it.",
    "instance-down": "A killed instance answers on neither side.",
    "throughput": "A narrow link makes a whole answer take longer through the proxy than beside it.",
    "cut-short": "A link that cuts answers short shows through the proxy and not beside it.",
    "observed": "What a fault's own observer saw has a lane of its own.",
    "counted": "What only its clients can count shows in no probe.",
    "none": "A no-op shows on neither side.",
}
_SEEN_PX = 14.0


def evidence_panel(scene: Scene, timeline: Timeline, plan: Plan) -> Panel | None:
    """Probes through each watched proxy and beside it, and what observers saw. None without any of them."""
    watched = sorted({probes.proxy for probes in timeline.probes if probes.side != OBSERVED})
    proxies = watched[:_MOST_PROXIES]
    observers = [probes for probes in timeline.probes if probes.side == OBSERVED]
    if not proxies and not observers:
        return None
    sides = {(probes.proxy, probes.side): probes for probes in timeline.probes}
    known = [value for probes in timeline.probes if probes.side != OBSERVED for value in probes.median_ms]
    scale = svg.log(known, _PROBE_PX, least=0.05, most=10_000.0)
    strips = [
        Strip(_probe(scene, timeline, scale, sides.get((proxy, "through")), sides.get((proxy, "beside"))), proxy)
        for proxy in proxies
    ]
    titles = {fault.id: fault.title for fault in plan.faults}
    strips += [_observed(scene, timeline, probes, titles.get(probes.proxy, probes.proxy)) for probes in observers]
    key = (Key("c-through", "through the proxy"), Key("c-beside", "beside it"), Key("c-unanswered", "not answered"))
    key = (*(key if proxies else ()), *((Key("c-seen", "seen by its observer"),) if observers else ()))
    note = " ".join(dict.fromkeys(_SHOWS[fault.effect.measure] for fault in plan.faults))
    note += f" {len(watched) - len(proxies)} more proxies were probed." if len(watched) > len(proxies) else ""
    unit = "round trip of our own probes, log scale" if proxies else "what observers saw, four times a second"
    return Panel("evidence", "Evidence", unit, note, tuple(strips), key, always_key=True)


def _observed(scene: Scene, timeline: Timeline, probes: Probes, title: str) -> Strip:
    bins = timeline.probe_bins
    looked = [i for i, failed in enumerate(probes.failed_share) if failed is not None]
    seen = [i for i in looked if (probes.failed_share[i] or 0.0) < 0.5]
    spans: list[tuple[int, int]] = []
    for before, i in zip([-1, *looked], looked, strict=False):
        if i in seen and spans and spans[-1][1] == before:
            spans[-1] = (spans[-1][0], i)
        elif i in seen:
            spans.append((i, i))
    bars = []
    for a, b in spans:
        known = [value for value in probes.value[a : b + 1] if value is not None]
        said = f"seen for {words.seconds((b - a + 1) * bins.width_s)}"
        said += f", typically {words.decimal(sorted(known)[len(known) // 2])}" if known else ""
        bars.append(svg.rect(*scene.across.span(bins.start_s(a), bins.end_s(b)), 2, _SEEN_PX - 3, "c-seen", said))
    drawing = svg.drawing(
        _SEEN_PX,
        f"{title}: seen in {len(seen)} of {len(looked)} slices",
        scene.backdrop(_SEEN_PX),
        svg.level(_SEEN_PX, "grid"),
        *bars,
    )
    return Strip(drawing, title)


def _probe(scene: Scene, timeline: Timeline, scale: svg.Log, through: Probes | None, beside: Probes | None) -> Markup:
    bins, parts, flat = timeline.probe_bins, [], []
    for probes, css, top in ((through, "c-through", 0.0), (beside, "c-beside", _FAILED_PX / 2)):
        if probes is None:
            continue
        parts.append(svg.line(scene.across, scale, _points(probes, bins), css))
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


def _points(probes: Probes, bins: Bins) -> list[svg.Point]:
    """The curve: through slices without a probe (some are made only twice a second), broken where one failed."""
    points: list[svg.Point] = []
    for i, value in enumerate(probes.median_ms):
        at = bins.middle_s(i)
        if value is None and probes.failed_share[i] is None:
            continue
        if points and at - points[-1][0] > max(_LONGEST_GAP_S, 2 * bins.width_s):
            points.append((at, None))
        points.append((at, value))
    return points


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
