"""Where a session does its business: requests go out here, and everything that happens to them is written down here.

Time is counted from when the shopper *meant* to act: the arrival that was scheduled for the first request, the last
answer plus the time to think for those after it. So whatever this process or a slow shop adds is in the latency, never
hidden in a late start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Generic, Protocol, TypeVar

import gevent
import msgspec

from crashcart.loadkit.answers import Answer, Failure, Request, failure_of
from crashcart.loadkit.clock import Clock
from crashcart.loadkit.deferred import Deferred
from crashcart.loadkit.intents import Ending, IntentLog, IntentOutcome
from crashcart.loadkit.metrics import ShopperMetrics
from crashcart.loadkit.pace import Pace
from crashcart.loadkit.retries import Retries
from crashcart.loadkit.saw import what_was_seen
from crashcart.loadkit.shoppers import Shopper
from crashcart.loadkit.transport import Transport

Value = TypeVar("Value")

PURCHASE = "purchase"
"""The SLI of intents: from the planned click to the last answer."""

FINISHED = ("ok", "declined", "sold_out")
"""Outcomes that are an answer. All others count as over every latency threshold."""


class RequestListener(Protocol):
    """Told of every request, as listeners to Locust's `events.request` are."""

    def __call__(self, request: Request, answer: Answer, problem: str, started_wall_s: float, took_s: float) -> None:
        """`problem` is empty where the request went well. Called soon after, not at once."""


@dataclass(frozen=True, slots=True)
class Office:
    """What all sessions of a run share."""

    clock: Clock
    transport: Transport
    metrics: ShopperMetrics
    pace: Pace
    intents: IntentLog
    listener: RequestListener | None
    """None: nobody looks at single requests."""
    phase_at: Callable[[float], str]
    later: Deferred


class Wrong(Exception):
    """An answer with a good status whose content is not what was promised."""


class Done(msgspec.Struct, Generic[Value], frozen=True):
    """How one operation, with all its tries, ended: with a value or with the last failure."""

    value: Value | None
    failure: Failure | None
    done_s: float


class Desk:
    """One session's."""

    def __init__(self, office: Office, shopper: Shopper, purchase_planned_s: float | None) -> None:
        """`purchase_planned_s`: when this one means to click, None where there is no intent."""
        self.shopper = shopper
        self.clock = office.clock
        self._office = office
        self._indices = office.metrics.indices(shopper.cohorts)
        self._planned_s = purchase_planned_s
        self._retry_random: Random | None = None
        self._intent_open = False
        self._saw = ("", "")  # the last failure's problem, and what was seen of it
        self.attempts = 0
        """Sends of the intent so far."""
        if shopper.key is not None and purchase_planned_s is not None:
            phase = office.phase_at(purchase_planned_s)
            office.intents.drawn(
                shopper.key,
                session=shopper.number,
                phase=phase,
                planned_s=purchase_planned_s,
                cohorts=shopper.cohorts,
            )
            office.metrics.intended(phase, self._indices)
            self._intent_open = True

    @property
    def retry_random(self) -> Random:
        """The stream that everything about trying again is drawn from, and nothing else."""
        if self._retry_random is None:
            self._retry_random = self.shopper.stream("retry")
        return self._retry_random

    def exchange(
        self, request: Request, timeout_s: float, check: Callable[[Answer], Value | None]
    ) -> tuple[Value | None, Failure | None]:
        """Send once. `check` sees every whole answer and returns what it holds; None where the answer is a failure.

        It raises Wrong where the status promises what the content does not hold.
        """
        listener = self._office.listener
        started_wall_s, started_s = (time.time(), self.clock.now_s()) if listener else (0.0, 0.0)
        answer = self._office.transport.exchange(request, timeout_s)
        value: Value | None = None
        failure: Failure | None = None
        why = ""
        try:
            value = None if answer.broke else check(answer)
            if value is None:
                failure = failure_of(answer)
        except Wrong as wrong:
            why = str(wrong)
            failure = Failure("error", definite=False, status=answer.status, problem="wrong-answer", detail=why)
        if failure is not None:
            self._saw = (failure.problem, what_was_seen(request, answer, failure, why))
        if listener:
            took_s = self.clock.now_s() - started_s
            problem = failure.problem if failure else ""
            self._office.later.call(listener, request, answer, problem, started_wall_s, took_s)
        return value, failure

    def errand(
        self,
        sli: str,
        request: Request,
        check: Callable[[Answer], Value | None],
        *,
        intended_s: float,
        timeout_s: float,
        until_s: float,
        retries: Retries,
    ) -> Done[Value]:
        """One operation, meant for `intended_s` and waited for until `until_s`, tried again as `retries` say."""
        meant_s, tries = intended_s, 0
        held: tuple[Failure, float] | None = None
        while True:
            tries += 1
            left_s = until_s - self.clock.now_s()
            value, failure = self.exchange(request, min(timeout_s, left_s), check)
            done_s = self.clock.now_s()
            if held is not None:
                self.count_failure(*held, next_failure=failure)
            if failure is None:
                self.finish(sli, "ok", intended_s, done_s)
                return Done(value, None, done_s)
            again_s = retries.again_s(failure, tries, done_s, self.retry_random)
            if again_s is None or again_s >= until_s:
                self.count_failure(failure, meant_s, next_failure=None)
                self.finish(sli, failure.kind, intended_s, done_s)
                return Done(None, failure, done_s)
            held, meant_s = (failure, meant_s), again_s
            self.clock.sleep_until(again_s)

    def finish(self, sli: str, outcome: str, intended_s: float, done_s: float) -> None:
        """Count one finished operation."""
        self._office.later.call(self._count_finished, sli, outcome, intended_s, done_s)

    def _count_finished(self, sli: str, outcome: str, intended_s: float, done_s: float) -> None:
        latency_s = max(done_s - intended_s, 0.0)
        good = outcome in FINISHED
        self._office.metrics.event(
            sli, outcome, self._office.phase_at(intended_s), self._indices, latency_s if good else None
        )
        self._office.pace.finished(sli, ok=good, done_s=done_s, latency_s=latency_s)

    def count_failure(self, failure: Failure, meant_s: float, *, next_failure: Failure | None) -> None:
        """Count one failed request, once it is known what trying again brought (`next_failure`).

        "Safe to try again" was not true where the same request with the same key was then called a conflict.
        """
        conflict = failure.safe_to_retry is True and next_failure is not None and next_failure.is_key_conflict
        honest = failure.honest and not conflict
        self._office.later.call(self._office.metrics.failure, self._office.phase_at(meant_s), self._indices, honest)

    def about_to_send(self, *, intended_s: float, what: Mapping[str, object]) -> None:
        """Put the intent's next send on disk. Only when this has returned may it be sent."""
        assert self.shopper.key is not None
        self._office.intents.send(
            self.shopper.key,
            attempt=self.attempts + 1,
            intended_s=intended_s,
            sent_s=self.clock.now_s(),
            what=what,
        )
        self.attempts += 1

    def end_intent(self, ending: Ending) -> None:
        """The intent is over; once only."""
        if not self._intent_open or self.shopper.key is None or self._planned_s is None:
            return
        self._intent_open = False
        done_s = self.clock.now_s()
        problem, saw = self._saw
        told = ending.outcome not in FINISHED and ending.problem == problem  # an earlier failure explains nothing
        self._office.intents.end(self.shopper.key, ending, done_s=done_s, saw=saw if told else "")
        latency_s = max(done_s - self._planned_s, 0.0) if ending.outcome in FINISHED else None
        phase = self._office.phase_at(self._planned_s)
        later, metrics = self._office.later, self._office.metrics
        later.call(metrics.event, PURCHASE, ending.outcome, phase, self._indices, latency_s)
        if ending.double_click:
            later.call(metrics.double_click, ending.double_click)

    def abandon_intent(self, problem: str) -> None:
        """End an open intent for a reason that lies with the load: unknown where anything was sent, else blocked."""
        outcome: IntentOutcome = "unknown" if self.attempts else "blocked"
        self.end_intent(Ending(outcome, attempts=self.attempts, problem=problem))

    def both(
        self, first: Callable[[], Value], second: Callable[[], Value], *, second_at_s: float
    ) -> tuple[Value, Value]:
        """Two things at once, the second from `second_at_s` on; back when both are done."""

        def later() -> Value:
            self.clock.sleep_until(second_at_s)
            return second()

        other = gevent.spawn(later)
        try:
            return first(), other.get()
        finally:
            other.kill(block=False)
