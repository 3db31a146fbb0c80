"""Toxiproxy: on PATH, else built from the Go module beside this file (17 s on two cores)."""

from __future__ import annotations

from collections.abc import Callable

from crashcart.tools.gobuild import Recipe, build, built
from crashcart.tools.programs import first_usable, missing, named_tool, on_path
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
    """The Toxiproxy server.

    Raises:
        MissingTool: there is none that will do; `crashcart setup` makes one.
    """
    tool, refused = _look()
    if tool is None:
        raise missing(NAME, f"run `crashcart setup`, or {REMEDY}", refused)
    return tool


def make(progress: Callable[[str], None]) -> Tool:
    """As `find`, building it where there is none.

    Raises:
        MissingTool: it can't be built either.
    """
    tool, refused = _look()
    if tool is None:
        for reason in refused:
            progress(f"toxiproxy: {reason}")
        build(NAME, RECIPE, remedy=REMEDY, progress=progress)
        tool = find()
    return tool


def _look() -> tuple[Tool | None, tuple[str, ...]]:
    named = named_tool(NAME, VARIABLE, minimum=MINIMUM)
    if named:
        return named, ()
    return first_usable(NAME, [*on_path("toxiproxy-server"), *built(RECIPE)], minimum=MINIMUM)
