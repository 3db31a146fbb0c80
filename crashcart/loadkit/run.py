"""The run: one dispatcher, a session a shopper, and the state that the harness sees.

Open loop: the schedule alone decides when a session begins. One greenlet waits for the next arrival and starts a
session for it, however the shop is doing; those that can't be started because too many are under way are counted and
said, never dropped in silence.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import gevent
import msgspec
from gevent.event import Event

from crashcart.loadkit.arrivals import arrivals
from crashcart.loadkit.assignment import Assignment, phase_at, profile_of
from crashcart.loadkit.clock import MonotonicClock
from crashcart.loadkit.counts import write_counters
from crashcart.loadkit.deferred import Deferred
from crashcart.loadkit.desk import PURCHASE, Desk, Office, RequestListener
from crashcart.loadkit.files import RecordNotWritten
from crashcart.loadkit.intents import CRASHED, INTENT_OUTCOMES, NOT_STARTED, STOPPED, IntentLog
from crashcart.loadkit.metrics import ShopperMetrics
from crashcart.loadkit.pace import Pace
from crashcart.loadkit.shoppers import Crowd, Shopper
from crashcart.loadkit.streams import ARRIVALS, stream
from crashcart.loadkit.transport import Transport
from crashcart.loadkit.workers import Workers
from crashcart.model.holding import STEADY, cut_phases
from crashcart.model.load import LoadProgram
from crashcart.model.plan import Phase
from crashcart.model.profiles import expected_count

State = Literal["waiting", "running", "settling", "settled"]

SUMMARY_FORMAT = "crashcart/load-summary/v1"

_TICK_S = 0.1
_STOP_LOOK_S = 0.1
_AFTER_DRAWN_S = 0.001
_AHEAD = 12
"""Shoppers drawn in one go, before the first is due: it costs a third of drawing each at its time. See `deferred`."""


class NotReady(Exception):
    """The shop does not answer as it must for sessions to begin."""


class NotCut(Exception):
    """The timeline can't be changed so."""


class Visit(Protocol):
    """What one shopper means to do, all of it drawn before it begins."""

    @property
    def purchase_planned_s(self) -> float | None:
        """When they would click if the shop answered at once; None for one who does not buy."""

    def run(self, desk: Desk) -> None:
        """Do it."""


class Behaviour(Protocol):
    """What a project says about its shoppers."""

    @property
    def operations(self) -> Mapping[str, tuple[str, ...]]:
        """SLI → every outcome it can have; `purchase` is added by the run."""

    def prepare(self, transport: Transport) -> None:
        """Learn what must be known before the first arrival (a catalogue). NotReady where the shop can't tell yet."""

    def plan(self, shopper: Shopper) -> Visit:
        """What this shopper means to do. Pure."""


class Run:
    """One run of the load. Everything happens in one thread's greenlets."""

    def __init__(
        self,
        assignment: Assignment,
        program: LoadProgram,
        behaviour: Behaviour,
        transport: Transport,
        listener: RequestListener | None,
    ) -> None:
        """Opens the files in `assignment.out`, and makes that folder; RecordNotWritten where it can't."""
        out = Path(assignment.out)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordNotWritten(f"cannot make the folder: {error.strerror}", where=str(out)) from error
        self.assignment = assignment
        self.state: State = "waiting"
        self.broken = ""
        """Why the run can't be trusted, where it can't: an error of ours, a record that could not be written."""
        self.metrics = ShopperMetrics(
            cohorts=program.cohorts,
            phases=[phase.name for phase in assignment.phases],
            outcomes={**behaviour.operations, PURCHASE: INTENT_OUTCOMES},
        )
        self.pace = Pace(out, tuple(behaviour.operations))
        self.phases = assignment.phases
        """As they are now: a phase may end before its time, see `cut`."""
        self._planned_until_s = 0.0
        """The latest click that anybody who has come means to make: its phase has been written down already."""
        self._out = out
        self._program = program
        self._behaviour = behaviour
        self._transport = transport
        self._listener = listener
        self._intents = IntentLog(out)
        self._crowd = Crowd(program, seed=assignment.seed, salt=assignment.settings.key_salt)
        self._later = Deferred()
        self._workers: Workers[tuple[Desk, Visit]] = Workers(self._session)
        self._started = Event()
        self._stopped = Event()
        self.settled = Event()
        self._clock: MonotonicClock | None = None

    def prepare(self) -> None:
        """Ask the shop what must be known. NotReady where it can't tell yet."""
        self._behaviour.prepare(self._transport)

    def start(self, t0_monotonic: float) -> None:
        """Let t0 be when `time.monotonic()` says so. Does nothing when it has been started already."""
        if self._clock is None:
            self._clock = MonotonicClock(t0_monotonic)
            self._started.set()

    def stop(self) -> None:
        """No more arrivals; who is there may finish. Idempotent."""
        self._stopped.set()
        self._started.set()

    def cut(self, name: str, end_s: float) -> Sequence[Phase]:
        """End the phase `name` at `end_s` and move up those after it; returns the timeline as it is from now on.

        It ends a little later where somebody who has come already means to click later: what was written down of an
        intent stays true. NotCut where that can't be.
        """
        now_s = self._clock.now_s() if self._clock is not None and self.state == "running" else None
        if now_s is None or self.assignment.profile != STEADY:
            raise NotCut(f"a load that is {self.state}, with the profile {self.assignment.profile}, can't be cut")
        cut = next((phase for phase in self.phases if phase.name == name), None)
        if cut is None or not cut.start_s <= now_s < cut.end_s:
            raise NotCut(f"it is {now_s:.1f} s, not in a phase {name!r}")
        # after the last phase there is no other: what is meant for later still belongs to it
        drawn_s = 0.0 if cut is self.phases[-1] else self._planned_until_s + _AFTER_DRAWN_S
        self.phases = cut_phases(self.phases, name, min(max(end_s, now_s, drawn_s), cut.end_s))
        return self.phases

    def drive(self) -> None:
        """Wait for the start, send shoppers until the schedule or `stop` ends it, let them finish, sum up."""
        self._started.wait()
        if self.state != "waiting":
            return
        ticker = gevent.spawn(self._tick)
        try:
            if self._clock is not None:
                self.state = "running"
                self._dispatch(self._clock)
            self.state = "settling"
            self._settle()
        except RecordNotWritten as error:
            self._break(str(error))
        except Exception:  # noqa: BLE001 - the top of the load: Locust would log it and begin the task once more
            self._break(traceback.format_exc())
        finally:
            ticker.kill()
            self.finish()

    def finish(self) -> None:
        """End what is left and write the summary. Idempotent."""
        if self.state == "settled":
            return
        self._stopped.set()
        self._workers.end(timeout_s=1.0)
        self.metrics.in_flight = 0
        try:
            self._later.flush()
            self.pace.close(self._clock.now_s() if self._clock else 0.0)
            self._write_summary(counted=write_counters(self._out, self.metrics))
        except (RecordNotWritten, OSError) as error:
            self._break(str(error))
        except Exception:  # noqa: BLE001 - the end must come, and be seen to be a bad one
            self._break(traceback.format_exc())
        self.state = "settled"
        self.settled.set()

    def status(self) -> dict[str, object]:
        """What `GET /status` answers."""
        self._later.flush()
        return {
            "state": self.state,
            "scheduled": self.metrics.scheduled,
            "started": self.metrics.started,
            "not_started": self.metrics.not_started,
            "crashed": self.metrics.crashed,
            "in_flight": self.metrics.in_flight,
            "lateness_p99_ms": self.pace.lateness.percentile_ms(99),
            "broken": self.broken,
        }

    def render_metrics(self) -> bytes:
        """What `GET /metrics` answers."""
        self._later.flush()
        return self.metrics.render()

    def _dispatch(self, clock: MonotonicClock) -> None:
        assignment = self.assignment
        office = Office(
            clock=clock,
            transport=self._transport,
            metrics=self.metrics,
            pace=self.pace,
            intents=self._intents,
            listener=self._listener,
            phase_at=lambda at_s: phase_at(self.phases, at_s),
            later=self._later,
        )
        schedule = arrivals(
            profile_of(assignment),
            assignment.peak_per_s / self._program.purchase_share,
            assignment.phases,
            stream(assignment.seed, -1, ARRIVALS),
        )
        drawn = (self._crowd.draw(number, arrival_s) for number, arrival_s in enumerate(schedule))
        while ahead := [(shopper, self._behaviour.plan(shopper)) for shopper in islice(drawn, _AHEAD)]:
            for shopper, visit in ahead:
                self.pace.next_due(shopper.arrival_s)
                if self._stops_before(shopper.arrival_s, clock) or shopper.arrival_s >= self.phases[-1].end_s:
                    return
                self._arrive(office, shopper, visit)
        self._stops_before(self.phases[-1].end_s, clock)

    def _stops_before(self, at_s: float, clock: MonotonicClock) -> bool:
        """Wait until then; True as soon as the arrivals are to end."""
        while not self._stopped.is_set() and (left_s := min(at_s, self.phases[-1].end_s) - clock.now_s()) > 0:
            gevent.sleep(min(left_s, _STOP_LOOK_S))
        return self._stopped.is_set()

    def _arrive(self, office: Office, shopper: Shopper, visit: Visit) -> None:
        self.metrics.scheduled += 1
        self.pace.scheduled(shopper.arrival_s)
        desk = Desk(office, shopper, visit.purchase_planned_s)
        self._planned_until_s = max(self._planned_until_s, visit.purchase_planned_s or 0.0)
        if self.metrics.in_flight >= self.assignment.settings.max_in_flight:
            self.metrics.not_started += 1
            desk.abandon_intent(NOT_STARTED)
            if self.metrics.not_started == 1:
                self._say(f"{self.metrics.in_flight} sessions are under way: sessions are not being started any more")
            return
        self.metrics.in_flight += 1
        self._workers.begin((desk, visit))

    def _session(self, job: tuple[Desk, Visit]) -> None:
        desk, visit = job
        arrival_s = desk.shopper.arrival_s
        late_s = max(desk.clock.now_s() - arrival_s, 0.0)
        self._later.call(self._count_started, arrival_s, late_s)
        try:
            visit.run(desk)
        except RecordNotWritten as error:
            self._break(str(error))
        except Exception:  # noqa: BLE001 - the top of a session: an error of ours makes the run untrustworthy
            self.metrics.crashed += 1
            self._break(traceback.format_exc())
            desk.abandon_intent(CRASHED)
        except gevent.GreenletExit:
            desk.abandon_intent(STOPPED)
        finally:
            self.metrics.in_flight -= 1

    def _count_started(self, arrival_s: float, late_s: float) -> None:
        self.pace.started(arrival_s, late_s)
        self.metrics.session_started(phase_at(self.phases, arrival_s), late_s)

    def _settle(self) -> None:
        self.pace.no_more_arrivals()
        self._workers.join(self._program.patience_s)

    def _tick(self) -> None:
        while True:
            gevent.sleep(_TICK_S)
            if self._clock is None:
                continue
            try:
                self._later.flush()
                self.pace.write(self._clock.now_s(), self.metrics.in_flight)
            except RecordNotWritten as error:
                self._break(str(error))
                return
            except Exception:  # noqa: BLE001 - the top of a greenlet: counting failed, so nothing counted is true
                self._break(traceback.format_exc())
                return

    def _break(self, why: str) -> None:
        """Something of ours went wrong: say so, and send nobody else."""
        if not self.broken:
            self.broken = why
            self._say(why)
        self._stopped.set()

    def _say(self, what: str) -> None:
        print(f"crashcart load: {what}", file=sys.stderr, flush=True)  # noqa: T201 - the load's log is its stderr

    def _write_summary(self, *, counted: int) -> None:
        assignment = self.assignment
        per_s = assignment.peak_per_s / self._program.purchase_share
        summary = {
            "format": SUMMARY_FORMAT,
            "profile": assignment.profile,
            "peak_per_s": assignment.peak_per_s,
            "seed": assignment.seed,
            **self.status(),
            "expected_sessions": {
                phase.name: expected_count(profile_of(assignment), per_s, self.phases, phase.start_s, phase.end_s)
                for phase in self.phases
            },
            "counted": counted,
            "different_orders_for_one_key": self.metrics.different_orders,
            "lateness": self.pace.lateness.summary(),
            "ops": {
                op: {"ok": self.pace.finished_ok[op].summary(), "not_ok": self.pace.finished_not_ok[op].summary()}
                for op in self._behaviour.operations
            },
        }
        (self._out / "load-summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2))
