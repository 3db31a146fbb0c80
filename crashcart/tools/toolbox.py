"""What was found: four programs, each with where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tool:
    """One provisioned program."""

    name: str
    """postgres, valkey, toxiproxy or prometheus."""

    version: str
    """As the program says it itself, such as `2.12.0`."""

    path: Path
    """The executable; of postgres its `bin` folder. Absolute."""

    origin: str
    """wheel, PATH, built, distribution package, or the environment variable that named it."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """All that a run starts besides the project's own services."""

    postgres: Tool
    valkey: Tool
    toxiproxy: Tool
    prometheus: Tool
