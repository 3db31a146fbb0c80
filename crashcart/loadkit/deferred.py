"""Bookkeeping that can wait a tenth of a second.

A process that wakes up for each of 500 requests a second finds its caches cold every time: counting, timing and
telling Locust cost three times as much there as they do in one go. So sessions leave notes, worked off together.
What must be on disk before something is sent is never left here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Deferred:
    """Calls to be made later, in order."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call it soon."""
        self._calls.append((function, arguments))

    def flush(self) -> None:
        """Make all calls left so far. What one of them raises is raised here; those after it are then lost."""
        calls, self._calls = self._calls, []
        for function, arguments in calls:
            function(*arguments)
