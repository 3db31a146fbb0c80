"""What all panels of the timeline share: one time axis, the phases, the faults as they really acted, the marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from markupsafe import Markup

from crashcart.model.plan import Phase, Plan
from crashcart.model.recording import Event
from crashcart.model.verdict import Verdict
from crashcart.reporting import svg, words
from crashcart.reporting.marks import LETTER, LONGEST, Mark, find_marks, in_rows, is_late
from crashcart.reporting.traffic import Alert

_ROW_PX = 20
_LEAST_ROOM = 0.3
"""Share of the axis that a fault's name takes, whatever room there is."""
_WIDER = 2
"""A desktop's axis holds more than twice as many letters as a phone's."""
_MOST_ALERTS = 3

_PHASE_NAMES = {"warmup": "warm-up"}
_SETTLING = "settling"


class Window(msgspec.Struct, frozen=True):
    """A fault as it really acted: from its injection to its undoing, or to the end of the run."""

    fault: str
    title: str
    start_s: float
    end_s: float
    slices: tuple[tuple[float, float], ...] = ()
    """Between which seconds from t0 it acted, where it did not act all the time."""

    @property
    def acting(self) -> tuple[tuple[float, float], ...]:
        """(from, to) of each time it acted."""
        return self.slices or ((self.start_s, self.end_s),)


class Scene(msgspec.Struct, frozen=True):
    """The backdrop of the timeline."""

    across: svg.Across
    phases: tuple[Phase, ...]
    settling: Phase | None
    """The seconds after the last phase in which the last shoppers finish."""
    windows: tuple[Window, ...]
    marks: tuple[Mark, ...]
    alerts: tuple[Alert, ...] = ()
    """The shop's own: the one that counts as detection first, the others by when they first fired."""

    def backdrop(self, height_px: float) -> Markup:
        """Shaded faults, phase borders and marks of one panel."""
        acting = [span for window in self.windows for span in window.acting]
        parts = [svg.rect(*self.across.span(start, end), 0, height_px, "fault") for start, end in acting]
        parts += [svg.rule(self.across.percent(phase.start_s), height_px, "border") for phase in self._spans[1:]]
        parts += [svg.rule(self.across.percent(mark.at_s), height_px, f"mark {mark.css}") for mark in self.marks]
        return Markup("").join(parts)

    def header(self) -> Markup:
        """Phases, faults and marks, named."""
        parts, top = [self._phase_row()], float(_ROW_PX)
        for window in self.windows:
            parts.append(self._window_row(window, top))
            top += _ROW_PX
        for at, alert in enumerate(self.alerts[:_MOST_ALERTS], start=1):
            more = len(self.alerts) - at if at == _MOST_ALERTS else 0
            name = f"alert: {words.clean(alert.name)}" + (f", and {more} more" if more else "")
            parts.append(self._bars(alert.spans, name, "alert", top))
            top += _ROW_PX
        for row in in_rows(self.marks, self.across.whole_s):
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
        return self._bars(window.acting, words.clean(window.title), "fault", top_px)

    def _bars(self, spans: Sequence[tuple[float, float]], title: str, kind: str, top_px: float) -> Markup:
        """Bars with one name, which stands on the side on which there is room."""
        bars = [
            svg.rect(*self.across.span(start, end), top_px, _ROW_PX - 3, f"{kind}-bar", title) for start, end in spans
        ]
        first, last = max(spans[0][0], 0) / self.across.whole_s, spans[-1][1] / self.across.whole_s
        room = 1 - first
        late = LETTER * len(title) > room and last > room
        letters = int(max(last if late else room, _LEAST_ROOM) / LETTER)
        at = last if late else first
        return Markup("").join([*bars, _label(at, top_px + 13, title, letters, f"{kind}-name", late=late)])

    def _mark(self, mark: Mark, top_px: float) -> Markup:
        at, late = self.across.percent(mark.at_s), is_late(mark, self.across.whole_s)
        tip = svg.rule(at, _ROW_PX, f"mark {mark.css}", top_px - 3)
        name = _label(
            mark.at_s / self.across.whole_s, top_px + 12, mark.label, LONGEST, f"mark-name {mark.css}", late=late
        )
        return tip + name


def _label(at: float, y_px: float, name: str, letters: int, css: str, *, late: bool) -> Markup:
    """A name beside its place; where a phone has not enough room for it, a shorter one is shown there."""
    x, dx, anchor = f"{100 * min(max(at, 0.0), 1.0):.4g}%", -5.0 if late else 5.0, "end" if late else "start"
    full, short = words.clean(name, longest=_WIDER * letters), words.clean(name, longest=letters)
    if full == short:
        return svg.text(x, y_px, full, css, dx_px=dx, anchor=anchor)
    wide = svg.text(x, y_px, full, f"{css} wide", dx_px=dx, anchor=anchor)
    return wide + svg.text(x, y_px, short, f"{css} narrow", dx_px=dx, anchor=anchor)


def make_scene(
    plan: Plan, events: Sequence[Event], verdict: Verdict, whole_s: float, alerts: tuple[Alert, ...] = ()
) -> Scene:
    """Faults are drawn where the events say that they acted, never where they were only planned.

    `whole_s` is the end of the axis; what lies beyond the last phase is shown as settling, and what would have been due
    after it is not shown.
    """
    windows = tuple(_windows(plan, events))
    marks = find_marks(plan, events, verdict, tuple((window.start_s, window.end_s) for window in windows))
    return Scene(
        across=svg.Across(whole_s),
        phases=plan.phases,
        settling=Phase(_SETTLING, plan.duration_s, whole_s) if whole_s > plan.duration_s else None,
        windows=windows,
        marks=tuple(mark for mark in marks if mark.at_s <= whole_s),
        alerts=tuple(sorted(alerts, key=lambda alert: (alert.name != _detecting(verdict), alert.spans[0], alert.name))),
    )


def _detecting(verdict: Verdict) -> str:
    """Name of the alert that counts."""
    return verdict.recovery.detected_by if verdict.recovery is not None else ""


def _windows(plan: Plan, events: Sequence[Event]) -> Iterator[Window]:
    injected = {str(event.data.get("fault")): event.t for event in events if event.event == "fault-injected"}
    undone = {str(event.data.get("fault")): event.t for event in events if event.event == "fault-undone"}
    for fault in plan.faults:
        if fault.id in injected:
            start_s, end_s = injected[fault.id], undone.get(fault.id, plan.duration_s)
            slices = tuple((start_s + a, min(start_s + b, end_s)) for a, b in fault.slices if start_s + a < end_s)
            yield Window(fault.id, fault.title, start_s, end_s, slices)


def _name(phase: Phase) -> str:
    return _PHASE_NAMES.get(phase.name, phase.name)
