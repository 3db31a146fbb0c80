"""Who does and undoes faults, in a thread of its own: the timeline never waits for a control plane."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from crashcart.model.errors import CrashcartError
from crashcart.model.plan import PlannedFault
from crashcart.running.clock import now_mono_s
from crashcart.running.crew import Crew

EXPIRY_GRACE_S = 3.0
"""The watchdog undoes a fault that has outlived its plan by so much."""
WITHIN_S = 60.0
"""Longer than any fault takes to be done or undone: from then on the watchdog is to think that we hang."""
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Done:
    """When something was done, and how long that took. It is noted a tick later, and must not be dated then."""

    at_mono_s: float
    took_s: float


class Hands:
    """One thing is done at a time, in the order of the plan."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._pool = ThreadPoolExecutor(1, "faults")
        self._begun: set[str] = set()
        self._acting: list[tuple[str, PlannedFault, Future[Done]]] = []
        self.active: dict[str, PlannedFault] = {}

    @property
    def busy(self) -> bool:
        """Whether something is being done or undone."""
        return bool(self._acting)

    def act(self, t: float) -> None:
        """Begin whatever is due, the earlier fault first: what ends must not undo what just began on its target."""
        for fault in sorted(self._crew.plan.faults, key=lambda fault: fault.start_s):
            if t >= fault.start_s:
                self._begin("inject", fault)
            if t >= fault.end_s:
                self._begin("undo", fault)

    def settle(self) -> bool:
        """Note what has been done since; False where something could not be."""
        well = True
        for action in [action for action in self._acting if action[2].done()]:
            self._acting.remove(action)
            what, fault, future = action
            if future.cancelled():
                continue
            error = future.exception()
            if isinstance(error, CrashcartError):
                self._crew.event("fault-failed", fault=fault.id, doing=what, error=str(error))
                self._crew.view.note(f"could not {what} {fault.title}: {error}")
                self.active.pop(fault.id, None)
                well = False
            else:
                self._note_done(what, fault, future.result())
        return well

    def rest(self) -> bool:
        """Begin nothing more, wait for what is under way, and note it; False where something could not be done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = now_mono_s() + WITHIN_S
        while not all(action[2].done() for action in self._acting):
            if now_mono_s() < until:
                self._crew.watchdog.beat()
            time.sleep(LOOK_S)
        return self.settle()

    def _begin(self, what: str, fault: PlannedFault) -> None:
        if f"{what} {fault.id}" in self._begun:
            return
        self._begun.add(f"{what} {fault.id}")
        do = self._inject if what == "inject" else self._undo
        self._acting.append((what, fault, self._pool.submit(do, fault)))

    def _inject(self, fault: PlannedFault) -> Done:
        began = now_mono_s()
        expires = self._crew.clock.t0_mono_s + fault.end_s + EXPIRY_GRACE_S
        self._crew.injector.inject(fault, self._crew.stack.topology, expires)
        return _done_since(began)

    def _undo(self, fault: PlannedFault) -> Done:
        began = now_mono_s()
        self._crew.injector.undo(fault.id)
        return _done_since(began)

    def _note_done(self, what: str, fault: PlannedFault, done: Done) -> None:
        word = "injected" if what == "inject" else "undone"
        t = done.at_mono_s - self._crew.clock.t0_mono_s
        self._crew.recorder.event(f"fault-{word}", t, fault=fault.id, took_s=round(done.took_s, 4))
        self._crew.view.note(f"{word}: {fault.title} ({done.took_s * 1000:.0f} ms)")
        self._crew.state.fault(fault, what == "inject")
        if what == "inject":
            self.active[fault.id] = fault
        else:
            self.active.pop(fault.id, None)


def _done_since(began_mono_s: float) -> Done:
    now = now_mono_s()
    return Done(now, now - began_mono_s)
