"""What a panel is, and how its plot is put together on the scene that all panels share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from markupsafe import Markup

from crashcart.reporting import svg, words
from crashcart.reporting.scene import Scene
from crashcart.reporting.timeline import Bins


class Key(msgspec.Struct, frozen=True):
    """One entry of a panel's key."""

    css: str
    label: str


class Strip(msgspec.Struct, frozen=True):
    """One drawing; a panel has one, or one for each of its lanes."""

    drawing: Markup
    label: str = ""
    note: str = ""
    css: str = ""
    value: str = ""
    """What stands right of the drawing where there is room, in its heading where there is not."""


class Panel(msgspec.Struct, frozen=True):
    """A part of the timeline with its words."""

    id: str
    title: str
    unit: str
    note: str
    strips: tuple[Strip, ...]
    key: tuple[Key, ...] = ()
    always_key: bool = False
    """Where labels can't stand beside the curves, the key is shown at every width."""


def plot(
    scene: Scene,
    scale: svg.Scale,
    ticks: Sequence[str],
    bins: Bins,
    hint: Callable[[int], str],
    labels: Sequence[tuple[str, float, str]],
    body: Sequence[Markup],
    summary: str,
) -> Markup:
    """A whole plot: backdrop, axis with `ticks`, curves, `labels` right of them, and each bin's numbers as hints."""
    height = scale.height_px
    hits = Markup("").join(
        svg.rect(
            *scene.across.span(bins.start_s(i), bins.end_s(i)), 0, height, "hit", f"{_when(scene, bins, i)}: {hint(i)}"
        )
        for i in range(bins.count)
    )
    return svg.drawing(
        height + 2,
        summary,
        scene.backdrop(height),
        svg.axis(scale, ticks),
        svg.curves(height, *[part for part in body if part.startswith("<path")]),
        *[part for part in body if not part.startswith("<path")],
        svg.beside(labels, height),
        hits,
    )


def _when(scene: Scene, bins: Bins, position: int) -> str:
    start, end = (words.clock(t, scene.across.whole_s) for t in (bins.start_s(position), bins.end_s(position)))
    return f"{start} to {end}"


def rates(scale: svg.Scale) -> list[str]:
    """Ticks of a scale of plain numbers."""
    return [f"{value:g}" for value in scale.ticks()]


def while_any(scene: Scene, bins: Bins, values: Sequence[float]) -> tuple[float | None, ...]:
    """A curve that ends with the last phase, or with the last thing after it, and does not fall to zero."""
    end_s = scene.phases[-1].end_s
    return tuple(value if value or bins.start_s(i) < end_s else None for i, value in enumerate(values))


def tail(scene: Scene, bins: Bins, values: Sequence[float | None]) -> float:
    """Where a curve's label goes: the mean of the last bins of the last phase, so that noise does not move it about."""
    end_s = scene.phases[-1].end_s
    known = [value for i, value in enumerate(values) if value is not None and bins.end_s(i) <= end_s]
    last = known[-3:] or [0.0]
    return sum(last) / len(last)
