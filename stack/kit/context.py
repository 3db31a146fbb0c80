"""What travels with a request: its reference, its deadline and its cohort.

The server opens a `Work` for each request that a coroutine handles; background loops open their own with `bound`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from stack.kit import references
from stack.kit.settings import env_float

DEFAULT_DEADLINE_S = env_float("DEADLINE_S", 5.0)


class Work:
    """One piece of work: `deadline` is a `time.monotonic()` value in seconds, `cohort` an opaque header value."""

    __slots__ = ("_key", "_reference", "cohort", "deadline")

    def __init__(self, reference: str | None, deadline: float, cohort: str | None, key: str | None = None) -> None:
        self._reference = reference
        self._key = key
        self.deadline = deadline
        self.cohort = cohort

    @property
    def reference(self) -> str:
        """The reference that came with the work, else the one of its idempotency key, else one made up and kept."""
        if self._reference is None:
            self._reference = references.random() if self._key is None else references.for_key(self._key)
        return self._reference

    @reference.setter
    def reference(self, value: str) -> None:
        self._reference = value


current: ContextVar[Work | None] = ContextVar("work", default=None)


def reference() -> str:
    """The reference of the present work (X-Reference); made up when there is no work."""
    work = current.get()
    return references.random() if work is None else work.reference


def remaining_s() -> float:
    """Seconds left of the present deadline (X-Deadline-Ms), never below 0; the default where there is none."""
    work = current.get()
    if work is None:
        return DEFAULT_DEADLINE_S
    return max(0.0, work.deadline - monotonic())


def cohort() -> str | None:
    """The X-Cohort header of the present work, unchanged."""
    work = current.get()
    return None if work is None else work.cohort


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Narrow the deadline to at most `seconds` from now inside the block; it never widens."""
    work = current.get()
    if work is None:
        with bound(deadline_s=seconds):
            yield
        return
    before = work.deadline
    work.deadline = min(before, monotonic() + seconds)
    try:
        yield
    finally:
        work.deadline = before


@contextmanager
def bound(
    *, reference: str | None = None, deadline_s: float | None = None, cohort: str | None = None
) -> Iterator[Work]:
    """Open work of one's own: background loops give an order's steps its reference and a deadline."""
    work = Work(reference, monotonic() + (DEFAULT_DEADLINE_S if deadline_s is None else deadline_s), cohort)
    token = current.set(work)
    try:
        yield work
    finally:
        current.reset(token)
