"""Recovery taken apart: until shoppers felt it, until the shop knew, until somebody acted, until all was well."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from markupsafe import Markup

from crashcart.model.verdict import Outcome, RecoveryResult
from crashcart.reporting import svg, words
from crashcart.reporting.scene import Scene

_ROW_PX = 20.0


class Step(msgspec.Struct, frozen=True):
    """One part on a line of its own."""

    label: str
    said: str
    """How long it took, or that it never came."""
    note: str
    drawing: Markup
    tone: str = ""
    """`bad`, `unsure`, `good` or nothing."""


class Part(msgspec.Struct, frozen=True):
    """One part in words: seconds from and to, counted from the start of the first fault; no end: it never came."""

    label: str
    from_s: float
    to_s: float | None
    said: str
    note: str
    css: str
    tone: str = ""


def parts(recovery: RecoveryResult, fault_s: float) -> tuple[Part, ...]:
    """The parts in words, for every report. `fault_s`: from the start of the first fault to the end of the last one."""
    return tuple(_parts(recovery, fault_s))


def _parts(r: RecoveryResult, fault_s: float) -> Iterator[Part]:
    felt = r.breached_after_s
    said = "never: goodput stayed in its band" if felt is None else words.seconds(felt)
    yield Part("until shoppers felt it", 0, felt, said, "from the start of the first fault", "felt")
    known = r.detected_after_s
    said = "never: no alert of the shop's own fired" if known is None else words.seconds(known)
    note = f"by {words.clean(r.detected_by)}" if known is not None and r.detected_by else ""
    yield Part(
        "until the shop knew", 0, known, said, note, "known", "unsure" if known is None and felt is not None else ""
    )
    acted = r.mitigated_after_s
    said = "never seen" if acted is None else words.seconds(acted)
    note = words.clean(r.mitigated_by) if acted is not None else ""
    yield Part("until it was mitigated", 0, acted, said, note, "acted")
    well, due = r.recovered_after_s, f"from the end of the last fault; {words.seconds(r.within_s)} allowed"
    tone = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "unsure"}[r.outcome]
    said = f"never in the {words.seconds(r.observed_for_s)} observed" if well is None else words.seconds(well)
    yield Part("until sustained health", fault_s, None if well is None else fault_s + well, said, due, "well", tone)


def steps(recovery: RecoveryResult, scene: Scene) -> tuple[Step, ...]:
    """The parts drawn on one axis, from the start of the first fault to the end of what was observed."""
    if not scene.windows:
        return ()
    start_s = min(window.start_s for window in scene.windows)
    fault_s = max(window.end_s for window in scene.windows) - start_s
    across = svg.Across(max(fault_s + recovery.observed_for_s, 1.0))
    bar = svg.rect(*across.span(0, fault_s), 3, _ROW_PX - 6, "fault-bar")
    acts = svg.drawing(_ROW_PX, f"the fault acts for {words.seconds(fault_s)}", bar)
    drawn = [Step("the fault acts", words.seconds(fault_s), "", acts)]
    for part in parts(recovery, fault_s):
        drawing = svg.drawing(_ROW_PX, f"{part.label}: {part.said}", *_row(part, across, fault_s, recovery.within_s))
        drawn.append(Step(part.label, part.said, part.note, drawing, part.tone))
    return tuple(drawn)


def _row(part: Part, across: svg.Across, fault_s: float, within_s: float) -> Iterator[Markup]:
    yield svg.rect(*across.span(0, fault_s), 0, _ROW_PX, "fault")
    yield svg.level(_ROW_PX, "grid")
    if part.to_s is None:
        yield svg.rect(*across.span(part.from_s, across.whole_s), _ROW_PX / 2 - 1, 3, "never")
    else:
        yield svg.rect(*across.span(part.from_s, part.to_s), 4, _ROW_PX - 8, f"part {part.css}")
        yield svg.rule(across.percent(part.to_s), _ROW_PX, f"part-end {part.css}")
    if part.css == "well":
        due, late = fault_s + within_s, fault_s + within_s > 0.8 * across.whole_s
        yield svg.rule(across.percent(due), _ROW_PX, "mark breach")
        dx, anchor = (-5.0, "end") if late else (5.0, "start")
        yield svg.text(across.percent(due), 7, "due", "mark-name breach", dx_px=dx, anchor=anchor)


def axis(recovery: RecoveryResult, scene: Scene) -> Markup:
    """Seconds since the start of the first fault, and when health was due."""
    start_s = min(window.start_s for window in scene.windows)
    fault_s = max(window.end_s for window in scene.windows) - start_s
    across = svg.Across(max(fault_s + recovery.observed_for_s, 1.0))
    labels = []
    for at, moment in enumerate(svg.time_ticks(across.whole_s)):
        css = "tick every-other" if at % 2 else "tick"
        labels.append(svg.text(across.percent(moment), 12, words.clock(moment, across.whole_s), css, anchor="middle"))
    return svg.drawing(16, "time since the first fault began", *labels)
