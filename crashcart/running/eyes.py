"""Who asks Prometheus, the load and the proxies how they are, in a thread of its own.

One that hangs takes two seconds to be given up. The timeline waits for none of them: faults come and go on time, and
the watchdog hears the heart beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from crashcart.model.errors import ControlPlaneError
from crashcart.ports import LoadStatus
from crashcart.running.crew import Crew
from crashcart.running.gate import GateResult, judge_gate

SILENT_S = 6.0
"""A part that has not answered for so long hangs: three calls that were given up, one after the other."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look."""

    t: float
    """When it began."""
    errors: dict[str, str]
    """Part → why it did not answer."""
    status: LoadStatus | None


class Eyes:
    """At most one look at a time; what it shows is there until the next one begins."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._pool = ThreadPoolExecutor(1, "looking")
        self._looking: Future[Seen] | None = None
        self._answered: dict[str, float] = {}
        self._asking: tuple[str, float] | None = None
        """(part, since when), while one is being asked; written by the thread that asks."""

    @property
    def free(self) -> bool:
        """Whether the last look has been taken: only then may its counters be read, or another one begin."""
        return self._looking is None

    def look(self, t: float) -> None:
        """Begin a look."""
        assert self._looking is None, "one look at a time"
        self._looking = self._pool.submit(self._ask_all, t)

    def seen(self) -> Seen | None:
        """The look that has ended since, once."""
        if self._looking is None or not self._looking.done():
            return None
        found, self._looking = self._looking.result(), None
        return found

    def gate(self) -> Future[tuple[GateResult, ...]]:
        """The gate, judged on counters read now. ControlPlaneError from it where they can't be read."""
        return self._pool.submit(self._judge_gate)

    def hanging(self, seen: Seen) -> dict[str, float]:
        """Part → for how many seconds it has not answered, where that is too long."""
        for part in ("prometheus", "load", "toxiproxy"):
            if part not in seen.errors:
                self._answered[part] = seen.t
        now_s = self._crew.clock.t()
        silent = {part: now_s - self._answered.setdefault(part, seen.t) for part in seen.errors}
        return {part: silent_s for part, silent_s in silent.items() if silent_s >= SILENT_S}

    def stuck(self) -> dict[str, float]:
        """Part → for how many seconds it has been answering one and the same question, where that is too long.

        Every question is given up after two seconds, unless whoever answers it lets the answer trickle.
        """
        asking = self._asking
        if asking is None:
            return {}
        part, since_s = asking
        silent_s = self._crew.clock.t() - since_s
        return {part: silent_s} if silent_s >= SILENT_S else {}

    def close(self) -> None:
        """Begin nothing more. Does not wait for one that hangs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judge_gate(self) -> tuple[GateResult, ...]:
        with self._asked("prometheus"):
            self._crew.slis.refresh(cohorts=True)
        return judge_gate(self._crew.plan, self._crew.slis)

    @contextmanager
    def _asked(self, part: str) -> Iterator[None]:
        self._asking = (part, self._crew.clock.t())
        try:
            yield
        finally:
            self._asking = None

    def _ask_all(self, t: float) -> Seen:
        errors: dict[str, str] = {}
        status: LoadStatus | None = None

        def ask(part: str, question: Callable[[], object]) -> object:
            try:
                with self._asked(part):
                    return question()
            except ControlPlaneError as error:
                errors[part] = str(error)
                return None

        ask("prometheus", self._crew.slis.refresh)
        answer = ask("load", self._crew.load.status)
        status = answer if isinstance(answer, LoadStatus) else None
        ask("toxiproxy", self._crew.proxies_answer)
        return Seen(t, errors, status)
