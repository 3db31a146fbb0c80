"""The timeline: phases, gate, faults, guardrails, and an eye on everything that could make the run worthless."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import psutil

from crashcart.model.errors import ControlPlaneError
from crashcart.ports import LoadStatus, Snapshot
from crashcart.running.crew import HARNESS_PARTS, Crew, Ended
from crashcart.running.eyes import Eyes, Seen
from crashcart.running.gate import GateResult
from crashcart.running.hands import Hands
from crashcart.running.holding import Holding
from crashcart.running.sli import GuardrailWatch

TICK_S = 0.1
LOOK_EVERY_S = 1.0
MACHINE_EVERY_S = 3.0
MEMORY_EVERY_S = 10.0
BEFORE_FAULTS = ("", "warmup", "baseline")
ERROR_EVENTS = {"prometheus": "prometheus-error", "load": "load-error", "toxiproxy": "proxy-error"}


class Timeline:
    """Drives one run from t0 to the end of its last phase, or to the reason why it ended before."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.ended: Ended | None = None
        self._hands = Hands(crew)
        self._eyes = Eyes(crew)
        self._holding = Holding(crew)
        self._guardrails = [GuardrailWatch(rule, crew.plan.slo(rule.slo)) for rule in crew.plan.guardrails]
        self._phase = ""
        self._gate: Future[tuple[GateResult, ...]] | None = None
        self._gate_passed = False
        self._dead: set[str] = set()
        self._turned_away = False
        self._next_look = 0.0
        self._next_machine = 0.0
        self._next_memory = 0.0
        self._last_load: tuple[float, LoadStatus] | None = None

    def drive(self) -> Ended:
        """Until the end. Faults that are still open are the caller's to undo."""
        try:
            while self.ended is None:
                self._tick(self.crew.clock.t())
                time.sleep(TICK_S)
        finally:
            self._eyes.close()
            self._holding.close()
            well = self._hands.rest()
        if not well and self.ended == "completed":
            self.ended = "broken"
        self.sample_cpu("end")
        return self.ended

    def _tick(self, t: float) -> None:
        self.crew.watchdog.beat()
        self._listen()
        self._hold(t)
        self._enter_phases(t)
        if self._phase not in BEFORE_FAULTS and self.ended is None:
            self._hands.act(t)
        if not self._hands.settle():
            self._end("broken")
        self._look(t)
        gate_known = self._gate is None or self._gate.done()
        if t >= self.crew.plan.duration_s and gate_known and not self._hands.busy and not self._hands.active:
            self._end("completed")

    def _end(self, how: Ended) -> None:
        """The first reason counts."""
        self.ended = self.ended or how

    def _listen(self) -> None:
        if self.crew.operator.wants_end():
            self.crew.interrupts.ask("crashcart abort")
        self.hear_marks()
        if self.crew.interrupts.asked:
            self.crew.event("interrupted", how=self.crew.interrupts.how)
            self._end("interrupted")

    def hear_marks(self) -> None:
        """Put the marks that were said since the last time where they belong."""
        for mono_s, text in self.crew.operator.marks():
            self.crew.recorder.event("mark", mono_s - self.crew.clock.t0_mono_s, text=text)
            self.crew.view.note(f"mark: {text}")

    def _hold(self, t: float) -> None:
        try:
            self._holding.tick(t)
        except ControlPlaneError as error:
            self.crew.event("load-error", error=str(error))
            self.crew.view.note(f"the load can't be told that the phase ends: {error}")
            self._end("broken")

    def _enter_phases(self, t: float) -> None:
        for phase in self.crew.plan.phases:
            if phase.start_s <= t < phase.end_s and phase.name != self._phase and self.ended is None:
                if phase.name not in BEFORE_FAULTS and not self._gate_opens():
                    return
                self._phase = phase.name
                self.crew.event("phase", phase=phase.name)
                self.crew.state.phase(phase.name)
                self.sample_cpu(phase.name)
                self.crew.view.note(f"phase {phase.name}")

    def _gate_opens(self) -> bool:
        """False while it is being judged, too."""
        if self._gate_passed:
            return True
        if self._gate is None:
            self._gate = self._eyes.gate()
        if not self._gate.done():
            return False
        try:
            results = self._gate.result()
        except ControlPlaneError as error:
            self.crew.event("prometheus-error", error=str(error))
            self.crew.event("gate", passed=False, results=[], reason="Prometheus could not be read")
            self._end("gate-closed")
            return False
        self._gate_passed = all(result.met for result in results)
        self.crew.event("gate", passed=self._gate_passed, results=[_gate_row(result) for result in results])
        if not self._gate_passed:
            missed = next(result for result in results if not result.met)
            self.crew.view.note(f"the gate stays closed: {missed.objective}: {missed.reason}")
            self._end("gate-closed")
        return self._gate_passed

    def _look(self, t: float) -> None:
        seen = self._eyes.seen()
        if seen is not None:
            self._take_in(t, seen)
        self._give_up(self._eyes.stuck())
        # while the gate is judged, in the same thread, its counters are not to be read again
        if self._eyes.free and t >= max(self._next_look, 0.0) and (self._gate is None or self._gate.done()):
            self._next_look = max(self._next_look + LOOK_EVERY_S, t)
            step_s = self.crew.clock.stepped_by_s()
            if step_s:
                self.crew.event("clock-step", by_s=round(step_s, 3))
            self.look_for_the_dead()
            self._eyes.look(t)
            self._look_at_the_machine(t)
            self._look_at_memory(t)

    def _take_in(self, t: float, seen: Seen) -> None:
        for part, error in seen.errors.items():
            self.crew.event(ERROR_EVENTS[part], error=error)
        self.look_for_the_dead()  # who is dead does not hang
        self._give_up(self._eyes.hanging(seen))
        if seen.status is not None:
            self._hear_load(seen.status)
        for guardrail in self._guardrails:
            why = guardrail.tripped(t, None if "prometheus" in seen.errors else self.crew.slis)
            if why and self.ended is None:
                self.crew.event("guardrail", slo=guardrail.rule.slo, reason=why)
                self.crew.view.note(f"guardrail: {why}")
                self._end("guardrail")
        if seen.status is not None:
            self._show(seen.t, seen.status)

    def _give_up(self, hanging: Mapping[str, float]) -> None:
        """Part → seconds of silence: the run is broken."""
        for part, silent_s in hanging.items():
            if part not in self._dead:
                self._dead.add(part)
                self.crew.event("hung", part=part, silent_s=round(silent_s, 1))
                self.crew.view.note(f"{part} has not answered for {silent_s:.0f} s")
                self._end("broken")

    def _hear_load(self, status: LoadStatus) -> None:
        if status.broken:
            why = status.broken.strip().splitlines()[-1]
            self.crew.event("load-broken", error=why)
            self.crew.view.note(f"the load broke: {why}")
            self._end("broken")
        elif status.not_started and not self._turned_away:
            self._turned_away = True
            self.crew.view.note(
                f"{status.in_flight} shoppers are inside, the load begins no more: this run will not count"
            )

    def look_for_the_dead(self) -> None:
        """Note who has died since the last time. A run without a part of its harness, or robbed of one, is broken."""
        dead = {} if self._hands.busy else dict(self.crew.stack.dead())
        removed = self.crew.stack.removed() if dead else ()
        if trouble := tuple(self.crew.watchdog.trouble()):
            dead["watchdog"] = trouble
        for part, last_lines in dead.items():
            if part in self._dead:
                continue
            self._dead.add(part)
            taken = {"removed": True} if part in removed else {}
            self.crew.event("died", part=part, last_lines=list(last_lines), **taken)
            self.crew.view.note(_obituary(part, last_lines, taken=bool(taken)))
            if taken or part in HARNESS_PARTS or part == "watchdog":
                self._end("broken")

    @property
    def without(self) -> frozenset[str]:
        """Parts of the harness that died or hang."""
        return frozenset(self._dead & set(HARNESS_PARTS))

    def _show(self, t: float, status: LoadStatus) -> None:
        before_t, before = self._last_load or (t - 1.0, LoadStatus("waiting", 0, 0, 0, 0.0))
        self._last_load = (t, status)
        span_s = max(t - before_t, 0.1)
        plan = self.crew.plan
        phase = next((p for p in plan.phases if p.name == self._phase), plan.phases[0])
        self.crew.view.show(
            Snapshot(
                t=t,
                phase=phase.name,
                phase_ends_s=phase.end_s,
                ends_s=plan.duration_s,
                offered_per_s=(status.scheduled - before.scheduled) / span_s * plan.load.purchase_share,
                started_per_s=(status.started - before.started) / span_s * plan.load.purchase_share,
                in_flight=status.in_flight,
                lateness_p99_ms=status.lateness_p99_ms,
                slis=self._slis_of(phase.name),
                active_faults=tuple(fault.title for fault in self._hands.active.values()),
                holding=self._holding.on,
            )
        )

    def _slis_of(self, phase: str) -> tuple[tuple[str, float | None, float], ...]:
        plan = self.crew.plan
        gating = [o for o in plan.objectives if o.cohort == "all" and o.phase == phase]
        shown = gating or [o for o in plan.objectives if o.cohort == "all" and o.phase == "baseline"]
        return tuple((o.slo, self.crew.slis.count(plan.slo(o.slo), phase=phase).ratio, o.objective) for o in shown)

    def sample_cpu(self, at: str) -> None:
        """Note how much CPU each part, and the whole machine, has used so far."""
        rounded = {name: round(used, 3) for name, used in self._own_cpu_s().items()}
        held = {name: round(mib, 1) for name, mib in self.crew.stack.memory_mib().items()}
        self.crew.event(
            "cpu",
            at=at,
            process_cpu_s=rounded,
            memory_mib=held,
            io_bytes=self.crew.stack.io_bytes(),
            busy_s=round(_busy_s(), 3),
            cores=os.cpu_count() or 1,
        )

    def _look_at_the_machine(self, t: float) -> None:
        """Note how full it is, and how much of that we are."""
        if t >= self._next_machine:
            self._next_machine = t + MACHINE_EVERY_S
            own_s, busy_s = sum(self._own_cpu_s().values()), _busy_s()
            self.crew.event("machine", busy_s=round(busy_s, 3), own_s=round(own_s, 3), cores=os.cpu_count() or 1)

    def _look_at_memory(self, t: float) -> None:
        """Note how much each part holds: in a long run it must not grow for ever."""
        if t >= self._next_memory:
            self._next_memory = t + MEMORY_EVERY_S
            mine = psutil.Process().memory_info()
            held = {**self.crew.stack.private_mib(), "harness": (mine.rss - mine.shared) / (1 << 20)}
            self.crew.event("memory", private_mib={name: round(mib, 1) for name, mib in held.items()})

    def _own_cpu_s(self) -> dict[str, float]:
        return {**self.crew.stack.cpu_s(), "harness": time.process_time()}


def _obituary(part: str, last_lines: Sequence[str], *, taken: bool) -> str:
    if taken:
        return f"{part}: somebody else has removed its container from the engine: this run will not count"
    return f"{part}: {last_lines[0]}" if part == "watchdog" else f"{part} died"


def _busy_s() -> float:
    """CPU seconds of the whole machine, since its start, in which it was not idle."""
    machine = psutil.cpu_times()
    return sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice


def _gate_row(result: GateResult) -> dict[str, object]:
    return {
        "objective": result.objective,
        "wanted": result.wanted,
        "good": result.counted.good,
        "total": result.counted.settled,
        "met": result.met,
        "reason": result.reason,
    }
