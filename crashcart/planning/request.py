"""What is asked of planning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crashcart.loading import ExperimentFile, Project
from crashcart.ports import FaultKind


@dataclass(frozen=True, slots=True)
class Request:
    """What to plan, and with what."""

    file: ExperimentFile
    project: Project
    runtime: str
    lacks: Callable[[str], str]
    """What keeps the runtime from doing a fault kind; empty where it can."""
    faults: Mapping[str, FaultKind]
    overrides: tuple[str, ...] = ()
    """`--set` and its kin, for the record; the file has them already."""
