"""Ctrl-C once: undo and report. Twice: undo and leave. The same for SIGTERM and for a terminal that goes away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Leave what you are doing; what was started is still to be stopped. Not an `Exception`: nothing may swallow it."""


class Interrupts:
    """Counts requests to stop."""

    def __init__(self) -> None:
        self.count = 0
        self.how = ""
        self.broke_off = False
        """Something was left in the middle. The error that came out of it may be another than ours."""
        self._raises = False
        self._disarmed = False
        self._held = False
        self._waits = False

    def disarm(self) -> None:
        """From now on requests are counted and nothing else."""
        self._disarmed = True

    def _raise(self) -> NoReturn:
        # Once is enough: what runs from here on puts things back, and nothing may keep it from that.
        self._disarmed = True
        self.broke_off = True
        raise Interrupted

    @property
    def asked(self) -> bool:
        """Whether somebody wants the run to end."""
        return self.count > 0

    @property
    def wanted(self) -> bool:
        """Whether a request waits for the end of `held`."""
        return self._waits

    def ask(self, how: str) -> None:
        """Somebody wants the run to end."""
        self.count += 1
        self.how = self.how or how

    @contextmanager
    def raising(self, *, heard: int = 0) -> Iterator[None]:
        """Inside, the first request raises at once: for waits that can simply be left.

        `heard`: as many requests were acted upon already. Where one was swallowed on its way (the callback of an event
        loop does that), it is raised at the end; where something turned it into an error of its own (a query of DuckDB
        does: "Query interrupted"), it is raised in that one's place.
        """
        self._raises = True
        try:
            if self.count > heard:
                self._raise()
            yield
        except Exception as error:
            if self.broke_off:
                raise Interrupted from error
            raise
        finally:
            self._raises = False
        if self.count > heard:
            self._raise()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no request raises: for what must not be left between any two of its steps, as an event loop.

        One that would have is raised at the end, also where nothing else goes wrong. Whatever takes long inside looks
        at `wanted`.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._waits:
                self._waits = False
                self._raise()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Signals count here while inside."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.ask(signal.Signals(number).name)
        if self._disarmed or not (self._raises or self.count > 1):
            return
        if self._held:
            self._waits = True
        else:
            self._raise()
