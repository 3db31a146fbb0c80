"""Links × time: how many calls, how many of them came to nothing, how long they took.

A cell is darker *and* taller the more it says, so that it reads without colours, too.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence

import msgspec

from crashcart.model.design import links
from crashcart.model.plan import Plan
from crashcart.reporting import svg, words
from crashcart.reporting.panel import Key, Panel, Strip
from crashcart.reporting.scene import Scene
from crashcart.reporting.timeline import Bins
from crashcart.reporting.traffic import LinkCells, Traffic

_ROW_PX = 16.0
_MOST_LINKS = 24
_CALL_BOUNDS = (0.2, 0.4, 0.6, 0.8)
_ERROR_BOUNDS = (0.01, 0.05, 0.2, 0.5)
_LATENCY_BOUNDS_MS = (10.0, 50.0, 250.0, 1000.0)

Level = Callable[[int], int]
"""Cell → 0 (nothing) … 5."""


def heat_panels(scene: Scene, traffic: Traffic, plan: Plan) -> tuple[Panel, ...]:
    """Three maps with the same rows; none where nothing was counted on any link."""
    rows = _rows(traffic, plan)
    if not rows:
        return ()
    left_out = len(traffic.links) - len(rows)
    note = f"The {len(rows)} busiest links; {words.plural(left_out, 'other')} in the table." if left_out > 0 else ""
    return (
        _calls(scene, traffic.cells, rows, note),
        _errors(scene, traffic.cells, rows),
        *([_latency(scene, traffic.cells, rows)] if any(any(row.p95_ms) for row in rows) else []),
    )


class Numbers(msgspec.Struct, frozen=True):
    """The maps as a table: a column a link, a row a slice of time."""

    links: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """(from, cells); a cell is calls, those that came to nothing, and p95."""


def numbers(traffic: Traffic, plan: Plan) -> Numbers | None:
    """What the maps show, for readers without eyes for colour; None where there is no map."""
    rows, cells = _rows(traffic, plan), traffic.cells
    if not rows:
        return None
    return Numbers(
        tuple(words.clean(row.link) for row in rows),
        tuple(
            (words.clock(cells.start_s(i), cells.whole_s), tuple(_cell(row, i) for row in rows))
            for i in range(cells.count)
        ),
    )


def _cell(row: LinkCells, i: int) -> str:
    if not row.wanted[i]:
        return "·"
    parts = [words.count(row.wanted[i]), words.count(row.bad[i]) if row.bad[i] else "·", edge(row.p95_ms[i])]
    return " / ".join(parts)


def _rows(traffic: Traffic, plan: Plan) -> list[LinkCells]:
    """In the design's order; of very many links the busiest."""
    used = [row for row in traffic.links if sum(row.wanted)]
    chosen = sorted(used, key=lambda row: -sum(row.wanted))[:_MOST_LINKS]
    order = {name: at for at, name in enumerate(links(plan.design))}
    return sorted(chosen, key=lambda row: (order.get(row.link, len(order)), row.link))


def _calls(scene: Scene, cells: Bins, rows: Sequence[LinkCells], note: str) -> Panel:
    def level(row: LinkCells) -> Level:
        rates = cells.per_s(row.wanted)
        most = max(rates)
        return lambda i: 1 + bisect.bisect_left(_CALL_BOUNDS, rates[i] / most) if rates[i] else 0

    strips = [_strip(scene, cells, row, "calls", level(row), words.count(sum(row.wanted))) for row in rows]
    key = [Key(f"heat calls q{n + 1}", f"to {words.target(n * 0.2 + 0.2)}") for n in range(5)]
    unit = "share of the link's own highest rate; at the right, calls in all"
    return Panel("link-calls", "Links: calls", unit, note, tuple(strips), tuple(key), always_key=True)


def _errors(scene: Scene, cells: Bins, rows: Sequence[LinkCells]) -> Panel:
    calm = [row for row in rows if not sum(row.bad)]
    rows = [row for row in rows if sum(row.bad)]
    if not rows:
        return Panel("link-errors", "Links: errors", "", "No call failed on any link.", ())

    def level(row: LinkCells) -> Level:
        return lambda i: 1 + bisect.bisect_right(_ERROR_BOUNDS, row.bad[i] / row.wanted[i]) if row.bad[i] else 0

    strips = [
        _strip(scene, cells, row, "errors", level(row), words.share(sum(row.bad) / sum(row.wanted))) for row in rows
    ]
    says = ["under 1 %", "under 5 %", "under 20 %", "under 50 %", "50 % and more"]
    key = [Key(f"heat errors q{n}", said.replace(" %", f"{words.NBSP}%")) for n, said in enumerate(says, start=1)]
    worst = max(rows, key=lambda row: sum(row.bad) / sum(row.wanted))
    note = (
        f"Most on {words.clean(worst.link)}: {words.count(sum(worst.bad))} of {words.count(sum(worst.wanted))} calls."
    )
    note += f" None on {words.plural(len(calm), 'other link')}." if calm else ""
    unit = "share of calls that failed, or were not sent because a breaker was open or no connection free"
    return Panel("link-errors", "Links: errors", unit, note, tuple(strips), tuple(key), always_key=True)


def _latency(scene: Scene, cells: Bins, rows: Sequence[LinkCells]) -> Panel:
    def level(row: LinkCells) -> Level:
        def of(i: int) -> int:
            value = row.p95_ms[i]
            return 0 if value is None else 1 + bisect.bisect_left(_LATENCY_BOUNDS_MS, value)

        return of

    strips = []
    for row in rows:
        worst = max((value for value in row.p95_ms if value is not None), default=None)
        strips.append(_strip(scene, cells, row, "latency", level(row), edge(worst)))
    bounds = [words.milliseconds(bound) for bound in _LATENCY_BOUNDS_MS]
    key = [Key(f"heat latency q{n}", f"to {bound}") for n, bound in enumerate(bounds, start=1)]
    key.append(Key("heat latency q5", f"over {bounds[-1]}"))
    unit = "p95 of one call, as its client saw it; at the right, the worst"
    return Panel("link-latency", "Links: latency", unit, "", tuple(strips), tuple(key), always_key=True)


def edge(p95_ms: float | None) -> str:
    """A quantile from a histogram is known to its bucket's upper edge."""
    if p95_ms is None:
        return words.NONE
    return "off the scale" if math.isinf(p95_ms) else f"≤{words.NBSP}{words.milliseconds(p95_ms)}"


def _strip(scene: Scene, cells: Bins, row: LinkCells, kind: str, level: Level, value: str) -> Strip:
    parts = []
    for i in range(cells.count):
        height = _ROW_PX * (level(i) + 1) / 6 if level(i) else 0.0
        left, width = scene.across.span(cells.start_s(i), cells.end_s(i))
        if height:
            css = f"heat {kind} q{level(i)}"
            parts.append(svg.rect(left, width, _ROW_PX - height, height, css, _said(scene, cells, row, i)))
    drawing = svg.drawing(
        _ROW_PX,
        f"{words.clean(row.link)}, {kind}: {value}",
        scene.backdrop(_ROW_PX),
        svg.level(_ROW_PX, "grid"),
        *parts,
        svg.text("100%", _ROW_PX - 4, value, "label c-lane", dx_px=8),
    )
    return Strip(drawing, words.clean(row.link), value=value)


def _said(scene: Scene, cells: Bins, row: LinkCells, i: int) -> str:
    start, end = (words.clock(t, scene.across.whole_s) for t in (cells.start_s(i), cells.end_s(i)))
    parts = [words.plural(row.calls[i], "call"), f"{words.count(row.failed[i])} failed"]
    if row.not_sent[i]:
        parts.append(f"{words.count(row.not_sent[i])} not sent")
    if row.p95_ms[i] is not None:
        parts.append(f"p95 {edge(row.p95_ms[i])}")
    return f"{words.clean(row.link)}, {start} to {end}: {', '.join(parts)}"
