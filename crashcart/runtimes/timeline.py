"""What took how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_WIDTH = 50


@dataclass(frozen=True, slots=True)
class Mark:
    """One piece of work, in seconds from the start of the boot."""

    what: str
    began_s: float
    ended_s: float


class Timeline:
    """Collects marks from several threads."""

    def __init__(self) -> None:
        self._t0 = time.monotonic()
        self._lock = threading.Lock()
        self._marks: list[Mark] = []

    @contextmanager
    def mark(self, what: str) -> Iterator[None]:
        """Note how long the block took, however it ends."""
        began = self.elapsed_s()
        try:
            yield
        finally:
            with self._lock:
                self._marks.append(Mark(what, began, self.elapsed_s()))

    def elapsed_s(self) -> float:
        """Since the start."""
        return time.monotonic() - self._t0

    def marks(self) -> tuple[Mark, ...]:
        """All so far, in the order in which they began."""
        with self._lock:
            return tuple(sorted(self._marks, key=lambda mark: (mark.began_s, mark.ended_s)))


def drawing(marks: Iterable[Mark]) -> tuple[str, ...]:
    """One line a mark for people: name, seconds, and a bar where it stands in the whole."""
    marks = tuple(marks)
    whole = max((mark.ended_s for mark in marks), default=0.0) or 1.0
    longest = max((len(mark.what) for mark in marks), default=0)
    lines = []
    for mark in marks:
        start = round(mark.began_s / whole * _WIDTH)
        length = max(1, round((mark.ended_s - mark.began_s) / whole * _WIDTH))
        bar = f"{' ' * start}{'━' * length}"
        lines.append(f"{mark.what:<{longest}}  {mark.began_s:6.3f} → {mark.ended_s:6.3f}  {bar}")
    return tuple(lines)
