"""The replicas of a dependency, in turn; one that has failed is left alone for a while, and then tried by one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Generic, TypeVar

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0

T = TypeVar("T")


class _Replica(Generic[T]):
    __slots__ = ("back_at", "it", "pause_s", "tried")

    def __init__(self, it: T) -> None:
        self.it = it
        self.back_at: float | None = None
        """None: it is well."""
        self.pause_s = FIRST_PAUSE_S
        self.tried = False
        """A call is out to see whether it is well again."""


class Replicas(Generic[T]):
    """Whom to ask next. A single one is always asked: for that there are breakers."""

    def __init__(self, each: Sequence[T], clock: Callable[[], float] = monotonic) -> None:
        self._each = [_Replica(one) for one in each]
        self._clock = clock
        self._turn = 0

    @property
    def several(self) -> bool:
        """Whether there is another one to ask."""
        return len(self._each) > 1

    def __iter__(self) -> Iterator[T]:
        return (replica.it for replica in self._each)

    def in_turn(self) -> Iterator[T]:
        """All of them, the best to ask first: those that are well in turn, then the others."""
        if len(self._each) == 1:
            yield self._each[0].it
            return
        self._turn += 1
        count = len(self._each)
        rotated = [self._each[(self._turn + step) % count] for step in range(count)]
        now = self._clock()
        for replica in sorted(rotated, key=lambda one: one.back_at is not None and one.back_at > now):
            if replica.back_at is not None:
                # whoever comes next asks another one, until it is known how this call went
                replica.back_at = now + replica.pause_s
                replica.tried = True
            yield replica.it

    def went_well(self, it: T) -> None:
        """It has answered."""
        replica = self._of(it)
        if replica.back_at is not None:
            replica.back_at, replica.pause_s, replica.tried = None, FIRST_PAUSE_S, False

    def failed(self, it: T) -> bool:
        """It has not; whether there is no other one that is well, so that all of the dependency is to blame."""
        replica = self._of(it)
        if replica.tried:  # else one of those that were under way when it failed
            replica.pause_s = min(LONGEST_PAUSE_S, replica.pause_s * 2)
            replica.tried = False
        replica.back_at = self._clock() + replica.pause_s
        return all(one.back_at is not None for one in self._each)

    def _of(self, it: T) -> _Replica[T]:
        return next(replica for replica in self._each if replica.it is it)
