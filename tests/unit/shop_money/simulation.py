"""A small world in which anything may come late, twice or not at all; seeded, on a virtual clock."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from stack.kit.database import DatabaseOutcomeUnknown, DatabaseUnavailable

T = TypeVar("T")


class Lost(Exception):
    """No answer came. `delivered_never`: it is certain that nothing arrived."""

    def __init__(self, delivered_never: bool) -> None:
        super().__init__("lost")
        self.delivered_never = delivered_never


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: the clock jumps to the next timer instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on a clock of its own."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


class World:
    """Draws what happens to each message and each statement; `heal` ends all trouble."""

    def __init__(self, seed: int, trouble: float) -> None:
        self.draw = random.Random(seed)
        self.trouble = trouble
        self._late: set[asyncio.Task[None]] = set()

    def heal(self) -> None:
        self.trouble = 0.0

    def bad(self, share: float = 1.0) -> bool:
        return self.draw.random() < self.trouble * share

    async def pause(self, most_s: float = 0.02) -> None:
        await asyncio.sleep(self.draw.uniform(0, most_s))

    async def message(self, act: Callable[[], T]) -> T:
        """A request that is served, lost, served with its answer lost, or served after its client has gone."""
        if self.bad(0.3):
            await self.pause()
            raise Lost(delivered_never=True)
        await self.pause()
        if self.bad():
            self._later(act)
            raise Lost(delivered_never=False)
        answer = act()
        await self.pause()
        if self.bad():
            raise Lost(delivered_never=False)
        return answer

    async def statement(self, act: Callable[[], T]) -> T:
        """A statement that is done, not done, done with its answer lost, or done after its client has gone."""
        await self.pause(0.01)
        if self.bad(0.3):
            raise DatabaseUnavailable("test.db", "down")
        if self.bad(0.3):
            self._later(act)
            raise DatabaseOutcomeUnknown("test.db", "late")
        answer = act()
        await self.pause(0.01)
        if self.bad(0.3):
            raise DatabaseOutcomeUnknown("test.db", "answer lost")
        return answer

    def _later(self, act: Callable[[], object]) -> None:
        async def arrive() -> None:
            await asyncio.sleep(self.draw.choice([0.01, 0.1, 1.0, 4.0]) * self.draw.random())
            act()

        task = asyncio.ensure_future(arrive())
        self._late.add(task)

    async def arrivals(self) -> None:
        """Until everything that was under way has arrived."""
        while self._late:
            late, self._late = self._late, set()
            await asyncio.gather(*late)
