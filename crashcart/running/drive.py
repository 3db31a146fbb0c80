"""The timeline: phases, gate, faults, guardrails, and an eye on everything that could make the run worthless."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import psutil

from crashcart.model.errors import ControlPlaneError, CrashcartError
from crashcart.model.plan import Plan, PlannedFault
from crashcart.ports import (
    FaultInjector,
    HarnessState,
    LoadControl,
    LoadStatus,
    RunRecorder,
    Snapshot,
    Stack,
    View,
    Watchdog,
)
from crashcart.running.clock import RunClock, now_mono_s
from crashcart.running.gate import judge_gate
from crashcart.running.interrupts import Interrupts
from crashcart.running.sli import GuardrailWatch, Slis

TICK_S = 0.1
EXPIRY_GRACE_S = 3.0
"""The watchdog undoes a fault that has outlived its plan by so much."""
HANDS_WITHIN_S = 60.0
"""Longer than any fault takes to be done or undone: from then on the watchdog is to think that we hang."""
HARNESS_PARTS = ("toxiproxy", "prometheus", "load")
"""Without one of these a run can't be judged, so there is no use in going on."""

Ended = Literal["completed", "gate-closed", "guardrail", "interrupted", "broken"]


@dataclass(slots=True)
class Crew:
    """Everything a timeline works with."""

    plan: Plan
    clock: RunClock
    recorder: RunRecorder
    stack: Stack
    load: LoadControl
    injector: FaultInjector
    watchdog: Watchdog
    slis: Slis
    state: HarnessState
    view: View
    interrupts: Interrupts
    abort_requested: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Timeline:
    """Drives one run from t0 to the end of its last phase, or to the reason why it ended before."""

    crew: Crew
    ended: Ended | None = None
    _phase: str = ""
    _done: set[str] = field(default_factory=set)
    _active: dict[str, PlannedFault] = field(default_factory=dict)
    _acting: list[tuple[str, PlannedFault, Future[float]]] = field(default_factory=list)
    _dead: set[str] = field(default_factory=set)
    _next_look: float = 0.0
    _last_load: tuple[float, LoadStatus] | None = None
    _guardrails: list[GuardrailWatch] = field(default_factory=list)
    _hands: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "faults"))

    def drive(self) -> Ended:
        """Until the end. Faults that are still open are the caller's to undo."""
        plan = self.crew.plan
        self._guardrails = [GuardrailWatch(rule, plan.slo(rule.slo)) for rule in plan.guardrails]
        self._hands = ThreadPoolExecutor(1, "faults")
        try:
            while self.ended is None:
                t = self.crew.clock.t()
                self.crew.watchdog.beat()
                self._enter_phases(t)
                self._act(t)
                self._settle_actions()
                if t >= self._next_look and t >= 0:
                    self._next_look = max(self._next_look + 1.0, t)
                    self._look(t)
                if self.crew.abort_requested():
                    self.crew.interrupts.ask("crashcart abort")
                if self.crew.interrupts.asked:
                    self._event("interrupted", how=self.crew.interrupts.how)
                    self.ended = "interrupted"
                elif t >= plan.duration_s and not self._acting and not self._active:
                    self.ended = "completed"
                time.sleep(TICK_S)
        finally:
            self._hands.shutdown(wait=False, cancel_futures=True)
            until = now_mono_s() + HANDS_WITHIN_S
            while not all(action[2].done() for action in self._acting):
                if now_mono_s() < until:
                    self.crew.watchdog.beat()
                time.sleep(TICK_S)
            self._settle_actions()
        self.sample_cpu("end")
        return self.ended

    def _event(self, name: str, **data: object) -> None:
        self.crew.recorder.event(name, self.crew.clock.t(), **data)

    def _enter_phases(self, t: float) -> None:
        for phase in self.crew.plan.phases:
            if phase.start_s <= t < phase.end_s and phase.name != self._phase:
                if phase.name == "fault" and not self._gate_opens():
                    return
                self._phase = phase.name
                self._event("phase", phase=phase.name)
                self.crew.state.phase(phase.name)
                self.sample_cpu(phase.name)
                self.crew.view.note(f"phase {phase.name}")

    def _gate_opens(self) -> bool:
        try:
            self.crew.slis.refresh(cohorts=True)
            results = judge_gate(self.crew.plan, self.crew.slis)
        except ControlPlaneError as error:
            self._event("prometheus-error", error=str(error))
            self._event("gate", passed=False, results=[], reason="Prometheus could not be read")
            self.ended = "gate-closed"
            return False
        passed = all(result.met for result in results)
        rows = [
            {
                "objective": result.objective,
                "wanted": result.wanted,
                "good": result.counted.good,
                "total": result.counted.settled,
                "met": result.met,
                "reason": result.reason,
            }
            for result in results
        ]
        self._event("gate", passed=passed, results=rows)
        if not passed:
            missed = next(result for result in results if not result.met)
            self.crew.view.note(f"the gate stays closed: {missed.objective}: {missed.reason}")
            self.ended = "gate-closed"
        return passed

    def _act(self, t: float) -> None:
        if self.ended is not None or self._phase in ("", "warmup", "baseline"):
            return
        for fault in self.crew.plan.faults:
            if t >= fault.start_s and f"inject {fault.id}" not in self._done:
                self._done.add(f"inject {fault.id}")
                self._acting.append(("inject", fault, self._hands.submit(self._inject, fault)))
            if t >= fault.end_s and f"undo {fault.id}" not in self._done:
                self._done.add(f"undo {fault.id}")
                self._acting.append(("undo", fault, self._hands.submit(self._undo, fault)))

    def _inject(self, fault: PlannedFault) -> float:
        began = now_mono_s()
        expires = self.crew.clock.t0_mono_s + fault.end_s + EXPIRY_GRACE_S
        self.crew.injector.inject(fault, self.crew.stack.topology, expires)
        return now_mono_s() - began

    def _undo(self, fault: PlannedFault) -> float:
        began = now_mono_s()
        self.crew.injector.undo(fault.id)
        return now_mono_s() - began

    def _settle_actions(self) -> None:
        for action in [action for action in self._acting if action[2].done()]:
            self._acting.remove(action)
            what, fault, future = action
            if future.cancelled():
                continue
            error = future.exception()
            if isinstance(error, CrashcartError):
                self._event("fault-failed", fault=fault.id, doing=what, error=str(error))
                self.crew.view.note(f"could not {what} {fault.title}: {error}")
                self._active.pop(fault.id, None)
                self.ended = self.ended or "broken"
                continue
            took_s = future.result()
            self._event(
                "fault-injected" if what == "inject" else "fault-undone", fault=fault.id, took_s=round(took_s, 4)
            )
            self.crew.view.note(
                f"{'injected' if what == 'inject' else 'undone'}: {fault.title} ({took_s * 1000:.0f} ms)"
            )
            self.crew.state.fault(fault, what == "inject")
            if what == "inject":
                self._active[fault.id] = fault
            else:
                self._active.pop(fault.id, None)

    def _look(self, t: float) -> None:
        step_s = self.crew.clock.stepped_by_s()
        if step_s:
            self._event("clock-step", by_s=round(step_s, 3))
        self.look_for_the_dead()
        readable = self._refresh()
        self.crew.watchdog.beat()
        for guardrail in self._guardrails:
            why = guardrail.tripped(t, self.crew.slis if readable else None)
            if why and self.ended is None:
                self._event("guardrail", slo=guardrail.rule.slo, reason=why)
                self.crew.view.note(f"guardrail: {why}")
                self.ended = "guardrail"
        self._show(t)

    def look_for_the_dead(self) -> None:
        """Note who has died since the last time. A run without a part of its harness is broken."""
        dead = {} if self._acting else dict(self.crew.stack.dead())
        if trouble := tuple(self.crew.watchdog.trouble()):
            dead["watchdog"] = trouble
        for part, last_lines in dead.items():
            if part in self._dead:
                continue
            self._dead.add(part)
            self._event("died", part=part, last_lines=list(last_lines))
            self.crew.view.note(f"{part}: {last_lines[0]}" if part == "watchdog" else f"{part} died")
            if part in HARNESS_PARTS or part == "watchdog":
                self.ended = self.ended or "broken"

    def _refresh(self) -> bool:
        try:
            self.crew.slis.refresh()
        except ControlPlaneError as error:
            self._event("prometheus-error", error=str(error))
            return False
        return True

    def _show(self, t: float) -> None:
        try:
            status = self.crew.load.status()
        except ControlPlaneError as error:
            self._event("load-error", error=str(error))
            return
        before_t, before = self._last_load or (t - 1.0, LoadStatus("waiting", 0, 0, 0, 0.0))
        self._last_load = (t, status)
        span_s = max(t - before_t, 0.1)
        share = self.crew.plan.load.purchase_share
        phase = next((p for p in self.crew.plan.phases if p.name == self._phase), self.crew.plan.phases[0])
        self.crew.view.show(
            Snapshot(
                t=t,
                phase=phase.name,
                phase_ends_s=phase.end_s,
                ends_s=self.crew.plan.duration_s,
                offered_per_s=(status.scheduled - before.scheduled) / span_s * share,
                started_per_s=(status.started - before.started) / span_s * share,
                in_flight=status.in_flight,
                lateness_p99_ms=status.lateness_p99_ms,
                slis=self._slis_of(phase.name),
                active_faults=tuple(fault.title for fault in self._active.values()),
            )
        )

    def _slis_of(self, phase: str) -> tuple[tuple[str, float | None, float], ...]:
        plan = self.crew.plan
        gating = [o for o in plan.objectives if o.cohort == "all" and o.phase == phase]
        shown = gating or [o for o in plan.objectives if o.cohort == "all" and o.phase == "baseline"]
        return tuple((o.slo, self.crew.slis.count(plan.slo(o.slo), phase=phase).ratio, o.objective) for o in shown)

    def sample_cpu(self, at: str) -> None:
        """Note how much CPU each part, and the whole machine, has used so far."""
        own = time.process_time()
        parts = {**self.crew.stack.cpu_s(), "harness": own}
        machine = psutil.cpu_times()
        busy_s = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
        rounded = {name: round(used, 3) for name, used in parts.items()}
        self._event("cpu", at=at, process_cpu_s=rounded, busy_s=round(busy_s, 3), cores=os.cpu_count() or 1)
