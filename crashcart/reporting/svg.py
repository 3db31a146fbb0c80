"""Static inline SVG: scales and a few marks. Widths are in per cent of the plot, heights in pixels.

Curves stand in a nested viewport that is stretched to the plot's width while their strokes are not; text, bars and
rules are placed by per cent. So one drawing fits a phone, a desktop and a sheet of paper, and its text is never scaled.
Everything written into a drawing goes through `Markup.format`, which escapes it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import msgspec
from markupsafe import Markup

UNITS = 1000
"""Width of the nested viewport of curves."""

_NONE = Markup("")
_TOP_PX = 8
_LABEL_PX = 14

Point = tuple[float, float | None]
"""(seconds, value); None breaks the curve."""


class Linear(msgspec.Struct, frozen=True):
    """From zero at the bottom to `high` at the top."""

    high: float
    height_px: float

    def y(self, value: float) -> float:
        """Pixels from the top; what is beyond the scale is put on its edge."""
        part = min(max(value / self.high, 0.0), 1.0)
        return round(self.height_px - part * (self.height_px - _TOP_PX), 2)

    def ticks(self) -> tuple[float, ...]:
        """Two to four round values, zero among them."""
        step = nice_step(self.high / 3)
        return tuple(step * n for n in range(int(self.high / step + 1e-9) + 1))


class Log(msgspec.Struct, frozen=True):
    """Equal ratios from `low` at the bottom to `high` at the top."""

    low: float
    high: float
    height_px: float

    def y(self, value: float) -> float:
        """Pixels from the top; what is beyond the scale is put on its edge."""
        clamped = min(max(value, self.low), self.high)
        part = math.log(clamped / self.low) / math.log(self.high / self.low)
        return round(self.height_px - part * (self.height_px - _TOP_PX), 2)

    def ticks(self) -> tuple[float, ...]:
        """The decades within it; where that is less than two of them, 1, 2 and 5 of each."""
        first, last = math.floor(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        marks = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
        inside = tuple(mark for mark in marks if self.low * 0.999 <= mark <= self.high)
        decades = tuple(mark for mark in inside if mark in marks[::3])
        return decades if len(decades) >= 2 else inside


Scale = Linear | Log


def linear(values: Iterable[float | None], height_px: float, *, least: float = 1.0) -> Linear:
    """A scale from zero that holds all values, with a little room above."""
    highest = max((value for value in values if value is not None), default=least)
    return Linear(max(highest * 1.08, least), height_px)


def log(values: Iterable[float | None], height_px: float, *, least: float, most: float) -> Log:
    """A scale of at least one decade within `least` … `most` that holds all values; the rest is put on its edge."""
    known = [value for value in values if value is not None and value > 0]
    low = max(least, nice_step(min(known, default=least)) / 2)
    high = min(most, max(max(known, default=low) * 1.15, low * 10))
    return Log(min(low, high / 10), high, height_px)


def nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((n * power for n in (1, 2, 5) if n * power >= rough * 0.999), 10 * power)


def time_ticks(whole_s: float, most: int = 9) -> tuple[float, ...]:
    """Round moments from 0 on, at most `most`."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((step for step in steps if whole_s / step <= most), whole_s / most)
    return tuple(float(step * n) for n in range(int(whole_s / step + 1e-9) + 1))


class Across(msgspec.Struct, frozen=True):
    """The shared time axis."""

    whole_s: float

    def percent(self, time_s: float) -> str:
        """Where a moment is, as `12.5%`."""
        return f"{100 * min(max(time_s / self.whole_s, 0.0), 1.0):.4g}%"

    def unit(self, time_s: float) -> str:
        """Where a moment is, in a curve's own units."""
        return f"{UNITS * min(max(time_s / self.whole_s, 0.0), 1.0):.5g}"

    def span(self, start_s: float, end_s: float) -> tuple[str, str]:
        """(left edge, width) in per cent."""
        return self.percent(start_s), f"{100 * max(min(end_s, self.whole_s) - max(start_s, 0), 0) / self.whole_s:.4g}%"


def curves(height_px: float, *paths: Markup) -> Markup:
    """Paths in a viewport that is stretched to the plot's width."""
    frame = Markup('<svg width="100%" height="{0}" viewBox="0 0 {1} {0}" preserveAspectRatio="none">{2}</svg>')
    return frame.format(f"{height_px:g}", UNITS, _NONE.join(paths))


def line(across: Across, scale: Scale, points: Iterable[Point], css: str) -> Markup:
    """A curve through the points, broken where a value is missing."""
    commands, pen_down = [], False
    for time_s, value in points:
        if value is not None:
            commands.append(f"{'L' if pen_down else 'M'}{across.unit(time_s)} {scale.y(value):g}")
        pen_down = value is not None
    return Markup('<path class="line {}" d="{}"/>').format(css, "".join(commands)) if commands else _NONE


def steps(across: Across, scale: Scale, edges_s: Sequence[float], values: Sequence[float | None], css: str) -> Markup:
    """A curve of steps: `values[i]` holds from `edges_s[i]` to `edges_s[i + 1]`."""
    points: list[Point] = []
    for (start, end), value in zip(itertools.pairwise(edges_s), values, strict=True):
        points += [(start, value), (end, value)]
    return line(across, scale, points, css)


def area(
    across: Across, scale: Scale, edges_s: Sequence[float], lower: Sequence[float], upper: Sequence[float], css: str
) -> Markup:
    """The stepped area between two rows of values."""
    if not any(high > low for low, high in zip(lower, upper, strict=True)):
        return _NONE
    there = [
        f"{across.unit(time)} {scale.y(value):g}"
        for start, end, value in zip(edges_s, edges_s[1:], upper, strict=False)
        for time, value in ((start, value), (end, value))
    ]
    back = [
        f"{across.unit(time)} {scale.y(value):g}"
        for start, end, value in zip(edges_s, edges_s[1:], lower, strict=False)
        for time, value in ((start, value), (end, value))
    ]
    return Markup('<path class="area {}" d="M{}Z"/>').format(css, "L".join([*there, *reversed(back)]))


def rect(left: str, width: str, top_px: float, height_px: float, css: str, title: str = "") -> Markup:
    """A bar. Its title shows when it is pointed at."""
    hint = Markup("<title>{}</title>").format(title) if title else _NONE
    return Markup('<rect class="{}" x="{}" width="{}" y="{}" height="{}">{}</rect>').format(
        css, left, width, f"{top_px:g}", f"{height_px:g}", hint
    )


def rule(x: str, height_px: float, css: str, top_px: float = 0) -> Markup:
    """A vertical line through the plot."""
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        css, x, x, f"{top_px:g}", f"{top_px + height_px:g}"
    )


def level(y_px: float, css: str) -> Markup:
    """A horizontal line through the plot."""
    return Markup('<line class="{}" x1="0" x2="100%" y1="{}" y2="{}"/>').format(css, f"{y_px:g}", f"{y_px:g}")


def text(x: str, y_px: float, words: str, css: str, *, dx_px: float = 0, anchor: str = "start") -> Markup:
    """Words at a place; never scaled."""
    return Markup('<text class="{}" x="{}" dx="{:g}" y="{:g}" text-anchor="{}">{}</text>').format(
        css, x, dx_px, y_px, anchor, words
    )


def axis(scale: Scale, labels: Sequence[str]) -> Markup:
    """Rules at the scale's ticks with their labels left of the plot."""
    marks = []
    for value, label in zip(scale.ticks(), labels, strict=True):
        marks += [level(scale.y(value), "grid"), text("0", scale.y(value) + 4, label, "tick", dx_px=-8, anchor="end")]
    return _NONE.join(marks)


def beside(labels: Sequence[tuple[str, float, str]], height_px: float) -> Markup:
    """(words, y, css): labels right of the plot where their curves end, moved apart where they would overlap."""
    placed: list[tuple[str, float, str]] = []
    lowest = -math.inf
    for words, y_px, css in sorted(labels, key=lambda one: one[1]):
        y_px = max(y_px, lowest + _LABEL_PX)  # noqa: PLW2901 - moved down
        lowest = y_px
        placed.append((words, y_px, css))
    overrun = max(0.0, lowest - height_px)
    return _NONE.join(text("100%", y - overrun + 4, words, f"label {css}", dx_px=8) for words, y, css in placed)


def drawing(height_px: float, summary: str, *parts: Markup) -> Markup:
    """A whole drawing; `summary` is what a screen reader says of it."""
    return Markup('<svg role="img" aria-label="{}" width="100%" height="{:g}">{}</svg>').format(
        summary, height_px, _NONE.join(parts)
    )
