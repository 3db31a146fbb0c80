"""What all panels of the timeline share: one time axis, the phases, the faults as they really acted, the marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from markupsafe import Markup

from crashcart.model.plan import Phase, Plan
from crashcart.model.recording import Event
from crashcart.model.verdict import Verdict
from crashcart.reporting import svg, words

_ROW_PX = 20
_LETTER = 0.019
"""Width of a letter on a phone, as a share of the axis: marks whose names would touch there get rows of their own."""

_PHASE_NAMES = {"warmup": "warm-up"}
_SETTLING = "settling"


class Window(msgspec.Struct, frozen=True):
    """A fault as it really acted: from its injection to its undoing, or to the end of the run."""

    fault: str
    title: str
    start_s: float
    end_s: float


class Mark(msgspec.Struct, frozen=True):
    """A moment worth a line through all panels."""

    at_s: float
    label: str
    css: str


class Scene(msgspec.Struct, frozen=True):
    """The backdrop of the timeline."""

    across: svg.Across
    phases: tuple[Phase, ...]
    settling: Phase | None
    """The seconds after the last phase in which the last shoppers finish."""
    windows: tuple[Window, ...]
    marks: tuple[Mark, ...]

    def backdrop(self, height_px: float) -> Markup:
        """Shaded faults, phase borders and marks of one panel."""
        parts = [svg.rect(*self.across.span(w.start_s, w.end_s), 0, height_px, "fault") for w in self.windows]
        parts += [svg.rule(self.across.percent(phase.start_s), height_px, "border") for phase in self._spans[1:]]
        parts += [svg.rule(self.across.percent(mark.at_s), height_px, f"mark {mark.css}") for mark in self.marks]
        return Markup("").join(parts)

    def header(self) -> Markup:
        """Phases, faults and marks, named."""
        parts, top = [self._phase_row()], float(_ROW_PX)
        for window in self.windows:
            parts.append(self._window_row(window, top))
            top += _ROW_PX
        for row in _rows(self.marks, self.across.whole_s):
            parts += [self._mark(mark, top) for mark in row]
            top += _ROW_PX
        parts.append(self.ticks(top + 12))
        said = [f"{_name(phase)} from {words.seconds(phase.start_s)}" for phase in self.phases]
        said += [f"{w.title} from {words.seconds(w.start_s)} to {words.seconds(w.end_s)}" for w in self.windows]
        said += [f"{mark.label} at {words.seconds(mark.at_s)}" for mark in self.marks]
        return svg.drawing(top + 18, "; ".join(said), *parts)

    def ticks(self, y_px: float) -> Markup:
        """The time axis's labels."""
        moments = svg.time_ticks(self.across.whole_s)
        parts = []
        for position, moment in enumerate(moments):
            css = "tick every-other" if position % 2 else "tick"
            label = words.clock(moment, self.across.whole_s)
            parts.append(svg.text(self.across.percent(moment), y_px, label, css, anchor="middle"))
        return Markup("").join(parts)

    def footer(self) -> Markup:
        """The axis once more, below the last panel."""
        return svg.drawing(18, "time since the load began", self.ticks(12))

    @property
    def _spans(self) -> tuple[Phase, ...]:
        return self.phases if self.settling is None else (*self.phases, self.settling)

    def _phase_row(self) -> Markup:
        parts = []
        for phase in self._spans:
            left, width = self.across.span(phase.start_s, phase.end_s)
            parts.append(svg.rect(left, width, 0, _ROW_PX - 3, f"phase phase-{phase.name}", _name(phase)))
            if phase.duration_s < 0.07 * self.across.whole_s:
                continue
            middle = self.across.percent((phase.start_s + phase.end_s) / 2)
            css = "phase-name tight" if phase.duration_s < 0.16 * self.across.whole_s else "phase-name"
            parts.append(svg.text(middle, 13, _name(phase), css, anchor="middle"))
        return Markup("").join(parts)

    def _window_row(self, window: Window, top_px: float) -> Markup:
        left, width = self.across.span(window.start_s, window.end_s)
        bar = svg.rect(left, width, top_px, _ROW_PX - 3, "fault-bar", window.title)
        late = window.start_s > 0.55 * self.across.whole_s
        at = self.across.percent(window.end_s if late else window.start_s)
        name = svg.text(
            at, top_px + 13, window.title, "fault-name", dx_px=-5 if late else 5, anchor="end" if late else "start"
        )
        return bar + name

    def _mark(self, mark: Mark, top_px: float) -> Markup:
        at, late = self.across.percent(mark.at_s), _is_late(mark, self.across.whole_s)
        tip = svg.rule(at, _ROW_PX, f"mark {mark.css}", top_px - 3)
        name = svg.text(
            at,
            top_px + 12,
            mark.label,
            f"mark-name {mark.css}",
            dx_px=-5 if late else 5,
            anchor="end" if late else "start",
        )
        return tip + name


def make_scene(plan: Plan, events: Sequence[Event], verdict: Verdict, whole_s: float) -> Scene:
    """Faults are drawn where the events say that they acted, never where they were only planned.

    `whole_s` is the end of the axis; what lies beyond the last phase is shown as settling.
    """
    windows = tuple(_windows(plan, events))
    return Scene(
        across=svg.Across(whole_s),
        phases=plan.phases,
        settling=Phase(_SETTLING, plan.duration_s, whole_s) if whole_s > plan.duration_s else None,
        windows=windows,
        marks=tuple(sorted(_marks(plan, events, verdict, windows), key=lambda mark: mark.at_s)),
    )


def _windows(plan: Plan, events: Sequence[Event]) -> Iterator[Window]:
    injected = {str(event.data.get("fault")): event.t for event in events if event.event == "fault-injected"}
    undone = {str(event.data.get("fault")): event.t for event in events if event.event == "fault-undone"}
    for fault in plan.faults:
        if fault.id in injected:
            yield Window(fault.id, fault.title, injected[fault.id], undone.get(fault.id, plan.duration_s))


def _marks(plan: Plan, events: Sequence[Event], verdict: Verdict, windows: Sequence[Window]) -> Iterator[Mark]:
    for event in events:
        if event.event == "gate":
            yield Mark(event.t, "gate open" if event.data.get("passed") else "gate closed", "gate")
        elif event.event == "guardrail":
            yield Mark(event.t, f"aborted: {event.data.get('slo', 'guardrail')}", "bad")
        elif event.event == "interrupted":
            yield Mark(event.t, "interrupted", "bad")
        elif event.event == "died":
            yield Mark(event.t, f"{event.data.get('part', 'a part')} died", "bad")
    recovery = verdict.recovery
    if recovery is None or not windows:
        return
    if recovery.breached_after_s is not None:
        yield Mark(min(w.start_s for w in windows) + recovery.breached_after_s, "goodput drops", "breach")
    if recovery.recovered_after_s is not None:
        after = words.seconds(recovery.recovered_after_s)
        yield Mark(max(w.end_s for w in windows) + recovery.recovered_after_s, f"recovered after {after}", "recovered")
    elif plan.recovery is not None:
        due = max(w.end_s for w in windows) + recovery.within_s
        yield Mark(due, f"recovery was due ({words.seconds(recovery.within_s)})", "breach")


def _rows(marks: Sequence[Mark], whole_s: float) -> list[list[Mark]]:
    rows: list[list[Mark]] = []
    for mark in marks:
        start, end = _extent(mark, whole_s)
        for row in rows:
            if all(end <= other[0] or start >= other[1] for other in (_extent(one, whole_s) for one in row)):
                row.append(mark)
                break
        else:
            rows.append([mark])
    return rows


def _extent(mark: Mark, whole_s: float) -> tuple[float, float]:
    """From where to where a mark and its name reach on the narrowest screen, as shares of the axis."""
    at, width = mark.at_s / whole_s, _LETTER * (len(mark.label) + 1)
    return (at - width, at) if _is_late(mark, whole_s) else (at, at + width)


def _is_late(mark: Mark, whole_s: float) -> bool:
    """Whether its name is written left of it, because there may not be room right of it."""
    return mark.at_s > 0.6 * whole_s


def _name(phase: Phase) -> str:
    return _PHASE_NAMES.get(phase.name, phase.name)
