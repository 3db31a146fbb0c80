"""promtool, which checks and tests rules: had as Prometheus is. No run needs it, so `crashcart setup` makes none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from crashcart.tools.cache import cache_dir
from crashcart.tools.gobuild import build, built
from crashcart.tools.package import NoPackage, unpack
from crashcart.tools.programs import Unusable, first_usable, make_by, named_tool, on_path, usable
from crashcart.tools.prometheus import MINIMUM
from crashcart.tools.prometheus import RECIPE as SERVER
from crashcart.tools.toolbox import Tool

NAME = "promtool"
VARIABLE = "CRASHCART_PROMTOOL"
REMEDY = f"put promtool ≥ {MINIMUM} on PATH (it comes with Prometheus), or name it in {VARIABLE}"

RECIPE = replace(SERVER, package="github.com/prometheus/prometheus/cmd/promtool", program=NAME)


def make(progress: Callable[[str], None]) -> Tool:
    """promtool; where there is none it is unpacked from Prometheus's package, or built. MissingTool: neither.

    Only the holder of the set-up lock may call this.
    """
    return make_by(_look, NAME, REMEDY, _get, progress)


def _look() -> tuple[Tool | None, tuple[str, ...]]:
    named = named_tool(NAME, VARIABLE, minimum=MINIMUM)
    if named:
        return named, ()
    packaged = [(path, "distribution package") for path in [_packaged()] if path.exists()]
    return first_usable(NAME, [*on_path(NAME), *packaged, *built(RECIPE)], minimum=MINIMUM)


def _packaged() -> Path:
    return cache_dir() / "promtool-packaged" / NAME


def _get(progress: Callable[[str], None]) -> None:
    progress("promtool: fetching the distribution's package")
    try:
        unpack("prometheus", Path("usr/bin/promtool"), _packaged(), check=_will_do)
    except (NoPackage, Unusable) as problem:
        progress(f"promtool: {problem}")
        build(NAME, RECIPE, remedy=REMEDY, progress=progress)


def _will_do(executable: Path) -> None:
    usable(NAME, executable, "distribution package", minimum=MINIMUM)
