"""Does planned faults and takes them back: each step in the fault log, on disk, before it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from crashcart.faults import decode_settings
from crashcart.model.errors import ControlPlaneError, CrashcartError, NotUndone
from crashcart.model.plan import PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, World
from crashcart.processes import boot_id
from crashcart.safety.faultlog import FaultLog, OpenStep, open_steps, read_log
from crashcart.safety.undoing import GIVE_UP_S, OnHung, Undoer, at_once

APPLY_WITHIN_S = 10.0


class Injector:
    """Implements `ports.FaultInjector`. Threads may share it; one thing is done at a time."""

    def __init__(
        self,
        log: FaultLog,
        world: World,
        kinds: Mapping[str, FaultKind],
        *,
        on_control_plane_hung: OnHung | None = None,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        """`on_control_plane_hung` starts Toxiproxy again with its proxies; the run is invalid then."""
        self._log = log
        self._world = world
        self._kinds = kinds
        self._undoer = Undoer(log, world, kinds, on_control_plane_hung, give_up_s)
        self._open: dict[str, tuple[OpenStep, ...]] = {}
        self._ending = False
        self._lock = threading.RLock()

    def inject(self, planned: PlannedFault, topology: Topology, expires_mono_s: float) -> None:
        """All steps of the fault, announced first, then done at once. It has taken effect when this returns.

        Raises:
            CrashcartError: it could not be done, or somebody took it back meanwhile; what was done of it is undone.
            NotUndone: and that failed.
        """
        kind = self._kinds[planned.kind]
        settings = decode_settings(kind, planned.settings)
        steps = tuple(
            OpenStep(planned.id, step, expires_mono_s, boot_id()) for step in kind.steps(settings, planned, topology)
        )
        with self._lock:
            self._refuse_if_too_late(planned, expires_mono_s)
            self._open[planned.id] = steps
            self._announce(steps)
            errors = at_once(lambda step: kind.apply(step.step, self._world), steps, within_s=APPLY_WITHIN_S)
            if errors:
                self.undo(planned.id)
                raise next(iter(errors.values()))
            self._refuse_if_taken_back(steps)
            for step in steps:
                self._log.note("injected", step)

    def undo(self, fault_id: str) -> None:
        """Take the fault back. One that is not injected is fine.

        Raises:
            NotUndone: names what is left.
        """
        with self._lock:
            failures = self._undoer.undo(self._open.get(fault_id, ()))
            self._open[fault_id] = tuple(failure.step for failure in failures)
            if failures:
                raise NotUndone("; ".join(map(str, failures)), remedy="crashcart recover")

    def undo_all(self) -> tuple[str, ...]:
        """Take everything back, and inject nothing from now on; what could not be undone, in words. Idempotent."""
        with self._lock:
            self._ending = True
            failures = self._undoer.undo([step for steps in self._open.values() for step in steps])
            self._open = {}
            for failure in failures:
                self._open[failure.step.fault] = (*self._open.get(failure.step.fault, ()), failure.step)
            return tuple(map(str, failures))

    def _refuse_if_too_late(self, planned: PlannedFault, expires_mono_s: float) -> None:
        if self._ending:
            raise CrashcartError(f"{planned.title}: not injected, the run is ending")
        if time.monotonic() >= expires_mono_s:
            raise CrashcartError(f"{planned.title}: not injected, its time is over (the harness was stopped?)")

    def _announce(self, steps: tuple[OpenStep, ...]) -> None:
        try:
            for step in steps:
                self._log.note("will-inject", step)
        except OSError as problem:
            what = f"the fault log can't be written, so nothing was injected: {problem}"
            raise CrashcartError(what, where=str(self._log.path)) from problem

    def _refuse_if_taken_back(self, steps: tuple[OpenStep, ...]) -> None:
        """Were we stopped (SIGSTOP) before we did it, the watchdog has undone what was not there yet."""
        still_open = {step.key for step in open_steps(read_log(self._log.path))}
        if any(step.key not in still_open for step in steps):
            self.undo(steps[0].fault)
            raise ControlPlaneError(f"{steps[0].fault} was taken back by the watchdog while it was being injected")
