"""Prometheus: on PATH, else the distribution's package unpacked into the cache, else built from source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crashcart.tools.cache import cache_dir
from crashcart.tools.gobuild import Recipe, build, built
from crashcart.tools.package import NoPackage, unpack
from crashcart.tools.programs import Unusable, find_by, first_usable, make_by, named_tool, on_path, usable
from crashcart.tools.toolbox import Tool

NAME = "prometheus"
MINIMUM = "2.42"
VARIABLE = "CRASHCART_PROMETHEUS"
REMEDY = f"put prometheus ≥ {MINIMUM} on PATH, or name it in {VARIABLE}"

_PACKAGED = "prometheus-packaged"

RECIPE = Recipe(
    module="prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    version="3.15.0",
    version_symbol="github.com/prometheus/common/version.Version",
    program="prometheus",
    # targets are written to files here: the clouds' discovery clients are three quarters of the build
    tags=("remove_all_sd",),
)


def find() -> Tool:
    """The Prometheus server. MissingTool where there is none that will do; `crashcart setup` gets one."""
    return find_by(_look, NAME, REMEDY)


def make(progress: Callable[[str], None]) -> Tool:
    """As `find`; where there is none it is unpacked from the distribution's package, or built. MissingTool: neither."""
    return make_by(_look, NAME, REMEDY, _get, progress)


def _look() -> tuple[Tool | None, tuple[str, ...]]:
    named = named_tool(NAME, VARIABLE, minimum=MINIMUM)
    if named:
        return named, ()
    packaged = [(path, "distribution package") for path in [_packaged()] if path.exists()]
    return first_usable(NAME, [*on_path("prometheus"), *packaged, *built(RECIPE)], minimum=MINIMUM)


def _packaged() -> Path:
    return cache_dir() / _PACKAGED / "prometheus"


def _get(progress: Callable[[str], None]) -> None:
    if not _unpack(progress):
        build(NAME, RECIPE, remedy=REMEDY, progress=progress)


def _unpack(progress: Callable[[str], None]) -> bool:
    progress("prometheus: fetching the distribution's package")
    try:
        unpack("prometheus", Path("usr/bin/prometheus"), _packaged(), check=_will_do)
    except (NoPackage, Unusable) as problem:
        progress(f"prometheus: {problem}")
        return False
    return True


def _will_do(executable: Path) -> None:
    usable(NAME, executable, "distribution package", minimum=MINIMUM)
