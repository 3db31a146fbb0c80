"""One run, from an empty folder to a recording. In any case what was started is stopped and what was broken mended."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from crashcart.books import get_ready
from crashcart.model.errors import BootError, ControlPlaneError, NotUndone
from crashcart.model.plan import Plan
from crashcart.model.recording import FILES
from crashcart.model.secrets import as_recorded
from crashcart.model.slo import Selector
from crashcart.ports import FaultInjector, LoadControl, MetricsReader, Stack, Watchdog
from crashcart.recorder import Recorder
from crashcart.running.clock import RunClock, now_mono_s, wall_text
from crashcart.running.collect import collect
from crashcart.running.crew import Crew, Ended
from crashcart.running.drive import Timeline
from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.running.parts import Parts, Prepared
from crashcart.running.sli import Slis

LEAD_S = 0.6
"""From the signal to start until t0."""
LOAD_READY_S = 30.0
SCRAPED_S = 20.0


def run(prepared: Prepared, parts: Parts, interrupts: Interrupts) -> Ended:
    """Run the plan; the recording is complete when this returns. Says how it ended.

    Raises NotUndone when a fault could not be taken back, whatever else happened, and BootError when the shop did not
    come up. Nothing is left running in any of these cases.
    """
    return _Run(prepared, parts, interrupts).go()


class _Run:
    def __init__(self, prepared: Prepared, parts: Parts, interrupts: Interrupts) -> None:
        self.prepared = prepared
        self.parts = parts
        self.interrupts = interrupts
        self.plan: Plan = prepared.plan
        self.recorder = Recorder(prepared.out)
        self.started_wall = wall_text()
        self.clock = RunClock(now_mono_s())
        self.ended: Ended = "broken"
        self.not_undone: list[str] = []

    def go(self) -> Ended:
        plan_json = msgspec.json.format(msgspec.json.encode(as_recorded(self.plan)), indent=1)
        (self.prepared.out / FILES["plan"]).write_bytes(plan_json + b"\n")
        try:
            with self.interrupts.handled():
                self._guarded()
        except Exception as error:
            if self.not_undone:
                raise self._not_undone() from error
            raise
        if self.not_undone:
            raise self._not_undone()
        return self.ended

    def _not_undone(self) -> NotUndone:
        return NotUndone("; ".join(self.not_undone), remedy="see the fault log, then `crashcart recover`")

    def _guarded(self) -> None:
        try:
            with ExitStack() as leaving:
                try:
                    self._everything(leaving)
                finally:
                    # What was begun is now put back, however often somebody asks; it takes seconds.
                    self.interrupts.disarm()
        except Interrupted:
            self.ended = "interrupted"
            self.recorder.event("interrupted", self.clock.t(), how=self.interrupts.how)
        except BootError as error:
            self.ended = "broken"
            self.recorder.event("boot-failed", self.clock.t(), error=str(error))
            raise
        except Exception:
            self.ended = "broken"  # however far it had come
            self.recorder.event("error", self.clock.t(), traceback=traceback.format_exc())
            raise
        finally:
            if self.not_undone:
                self.recorder.event("not-undone", self.clock.t(), steps=self.not_undone)
            self.recorder.finish(
                run_id=self.prepared.run_id,
                experiment=self.plan.name,
                started_wall=self.started_wall,
                finished_wall=wall_text(),
                ended=self.ended,
                crashcart_version=self.plan.crashcart_version,
                commit=self.prepared.commit,
                machine=self.prepared.machine,
            )

    def _everything(self, leaving: ExitStack) -> None:
        leaving.callback(self.parts.state.close)
        watchdog = self.parts.start_watchdog(self.prepared.run_id, self.prepared.out)
        leaving.callback(watchdog.release)
        heart = _Heart(watchdog, self._hear_abort)
        leaving.callback(heart.stop)
        stack = self._boot(leaving, watchdog)
        crew = self._crew(leaving, stack, watchdog)
        timeline = Timeline(crew)
        with heart.resting():
            self.ended = timeline.drive()
        self._undo_all(crew.injector)
        get_ready()
        # Also of a run that was interrupted the books are read: a double charge in it is a double charge.
        with self.interrupts.raising(heard=1 if self.ended == "interrupted" else 0):
            if self.ended != "completed":
                self._stop_load(crew)
            collect(crew, self.prepared.out, self.ended, timeline.without)
            timeline.look_for_the_dead()
            timeline.hear_marks()

    def _hear_abort(self) -> None:
        """`crashcart abort`, outside the timeline: as if the signal had come."""
        if self.parts.operator.wants_end():
            self.interrupts.how = self.interrupts.how or "crashcart abort"
            os.kill(os.getpid(), signal.SIGTERM)

    def _stop_load(self, crew: Crew) -> None:
        try:
            crew.load.stop()
        except ControlPlaneError as error:  # it is what ended the run, perhaps
            self.recorder.event("load-error", self.clock.t(), error=str(error))

    def _boot(self, leaving: ExitStack, watchdog: Watchdog) -> Stack:
        self.recorder.event("boot-started", self.clock.t())
        control = f"127.0.0.1:{self.parts.free_port()}"
        with self.interrupts.raising():
            with self.interrupts.held():  # threads wait for each other there: between two steps they would for good
                stack = self.parts.runtime.start(
                    self.plan.design,
                    run_id=self.prepared.run_id,
                    project_dir=self.prepared.project_dir,
                    log_dir=self.prepared.out / "logs",
                    extra_scrapes={"load": control, "harness": self.parts.state.address},
                    progress=self.parts.view.note,
                    unwanted=lambda: self.interrupts.wanted,
                )
                leaving.callback(self._stop, stack)
            watchdog.watch(stack.topology)
            self.recorder.event("ready", self.clock.t(), boot_s=round(stack.boot_s, 3))
            self.parts.view.note(f"the shop is up ({stack.boot_s:.1f} s)")
            self.control_address = control
            with self.interrupts.held():
                self._start_load(stack)
        return stack

    def _start_load(self, stack: Stack) -> None:
        plan = self.plan
        door = f"shoppers[0].{plan.design.entry}[0]"
        settings = {
            "format": "crashcart/load/v1",
            "target": f"http://{stack.topology.proxy(door).listen}",
            "control_address": self.control_address,
            "out": str(self.prepared.out),
            "phases": [{"name": p.name, "start_s": p.start_s, "end_s": p.end_s} for p in plan.phases],
            "profile": plan.profile,
            "peak_per_s": plan.peak_per_s,
            "seed": plan.seed,
            "scenario": plan.scenario,
            "settings": {},
        }
        path = Path(stack.topology.state_dir) / "load.json"
        path.write_bytes(msgspec.json.encode(settings))
        stack.spawn_part("load", plan.load.command, {**self.prepared.environment, "CRASHCART_LOAD": str(path)})

    def _undo_all(self, injector: FaultInjector) -> None:
        # asked twice, the last word counts: what failed at first may have been undone since
        self.not_undone = list(injector.undo_all())
        if not self.not_undone:
            for fault in self.plan.faults:
                self.parts.state.fault(fault, active=False)

    def _stop(self, stack: Stack) -> None:
        began = now_mono_s()
        self.not_undone += stack.stop()
        self.recorder.event("stopped", self.clock.t(), took_s=round(now_mono_s() - began, 3))

    def _crew(self, leaving: ExitStack, stack: Stack, watchdog: Watchdog) -> Crew:
        load: LoadControl = self.parts.load_control(self.control_address)
        with self.interrupts.raising():
            _wait_ready(load, stack)
        reader = self.parts.metrics(stack.topology)
        with self.interrupts.raising():
            _wait_scraped(reader, stack)
        t0 = now_mono_s() + LEAD_S
        before, self.clock = self.clock, RunClock(t0)
        boot_offset_s = self.clock.t() - before.t()
        injector = self.parts.injector(stack, self.prepared.out / FILES["faultlog"], self._part_restarted)
        leaving.callback(self._undo_all, injector)
        load.start(t0)
        self.recorder.event(
            "load-started",
            self.clock.t(),
            t0_wall=self.clock.t0_wall_s,
            t0_mono=t0,
            boot_offset_s=round(boot_offset_s, 4),
        )
        if self.plan.faults:
            probes = self.parts.probes(stack.topology, self.plan.faults, self.recorder.probe, t0)
            leaving.callback(probes.stop)
            probes.start()
        return Crew(
            plan=self.plan,
            clock=self.clock,
            recorder=self.recorder,
            stack=stack,
            load=load,
            injector=injector,
            watchdog=watchdog,
            slis=Slis(self.plan, reader),
            state=self.parts.state,
            view=self.parts.view,
            interrupts=self.interrupts,
            operator=self.parts.operator,
            proxies_answer=self.parts.proxies_answer(stack.topology),
            hold=self.prepared.hold,
        )

    def _part_restarted(self, part: str) -> None:
        self.recorder.event("restarted", self.clock.t(), part=part)


def _wait_ready(load: LoadControl, stack: Stack) -> None:
    deadline = now_mono_s() + LOAD_READY_S
    while said := load.ready():
        _nobody_died(stack)
        if now_mono_s() > deadline:
            raise BootError(
                "load", f"the load was not ready within {LOAD_READY_S:g} s: {said}", remedy="see logs/load.log"
            )
        time.sleep(0.05)


def _wait_scraped(reader: MetricsReader, stack: Stack) -> None:
    """Prometheus takes some seconds to look at its targets for the first time; counters must be seen at 0."""
    deadline = now_mono_s() + SCRAPED_S
    said = "no target is known yet"
    while now_mono_s() < deadline:
        _nobody_died(stack)
        try:
            up = {labels.get("job", "?"): value for labels, value in reader.latest(Selector("up"))}
        except ControlPlaneError as error:
            said = str(error)
        else:
            if {"load", "harness"} <= up.keys() and all(up.values()):
                return
            said = ", ".join(f"{job} is {'up' if value else 'down'}" for job, value in sorted(up.items())) or said
        time.sleep(0.1)
    remedy = "what is down must answer GET /metrics with Prometheus's text; see logs/"
    raise BootError("prometheus", f"it did not scrape everything within {SCRAPED_S:g} s: {said}", remedy=remedy)


def _nobody_died(stack: Stack) -> None:
    """Who is dead is not waited for."""
    for name, last_lines in sorted(stack.dead().items()):
        raise BootError(name, "it died before the load began", last_lines, remedy="see logs/")


class _Heart:
    """Beats, and listens, in a thread of its own while the main one waits for a boot or for books.

    It rests while the timeline runs: there the loop itself beats, so that a loop that hangs is noticed.
    """

    def __init__(self, watchdog: Watchdog, hear_abort: Callable[[], None]) -> None:
        self._watchdog = watchdog
        self._hear_abort = hear_abort
        self._stopped = threading.Event()
        self._resting = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopped.wait(0.25):
            if not self._resting:
                self._watchdog.beat()
                self._hear_abort()

    @contextmanager
    def resting(self) -> Iterator[None]:
        self._resting = True
        try:
            yield
        finally:
            self._resting = False

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=1.0)
