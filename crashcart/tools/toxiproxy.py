"""Toxiproxy: on PATH, else built from the Go module beside this file (17 s on two cores)."""

from __future__ import annotations

from collections.abc import Callable

from crashcart.tools.gobuild import Recipe, build, built
from crashcart.tools.programs import find_by, first_usable, make_by, named_tool, on_path
from crashcart.tools.toolbox import Tool

NAME = "toxiproxy"
MINIMUM = "2.12"
VARIABLE = "CRASHCART_TOXIPROXY_SERVER"
REMEDY = f"put toxiproxy-server ≥ {MINIMUM} on PATH, or name it in {VARIABLE}"

RECIPE = Recipe(
    module="toxiproxy",
    package="github.com/Shopify/toxiproxy/v2/cmd/server",
    version="2.12.0",
    version_symbol="github.com/Shopify/toxiproxy/v2.Version",
    program="toxiproxy-server",
)


def find() -> Tool:
    """The Toxiproxy server. MissingTool where there is none that will do; `crashcart setup` makes one."""
    return find_by(_look, NAME, REMEDY)


def make(progress: Callable[[str], None]) -> Tool:
    """As `find`, building it where there is none. MissingTool where it can't be built either."""
    return make_by(_look, NAME, REMEDY, _build, progress)


def _look() -> tuple[Tool | None, tuple[str, ...]]:
    named = named_tool(NAME, VARIABLE, minimum=MINIMUM)
    if named:
        return named, ()
    return first_usable(NAME, [*on_path("toxiproxy-server"), *built(RECIPE)], minimum=MINIMUM)


def _build(progress: Callable[[str], None]) -> None:
    build(NAME, RECIPE, remedy=REMEDY, progress=progress)
