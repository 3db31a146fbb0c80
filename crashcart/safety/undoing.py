"""Taking steps back, all at once, within a bounded time, whatever their control plane does."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from crashcart.model.errors import ControlPlaneError, CrashcartError
from crashcart.ports import FaultKind, World
from crashcart.safety.faultlog import FaultLog, Op, OpenStep

RETRY_FOR_S = 2.0
"""An undo that fails at once is tried again for so long."""
HUNG_S = 1.0
"""One that takes this long to fail is not tried again: what it speaks to hangs."""
GIVE_UP_S = 40.0
"""One that has not returned by then is left behind. A service that starts again may need most of it."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.4

OnHung = Callable[[str], None]
"""Told why, it starts the control plane again; when it returns, that works, and what was done through it is gone."""


@dataclass(frozen=True, slots=True)
class UndoFailure:
    """A step that could not be taken back."""

    step: OpenStep
    error: str
    control_plane: bool
    """Whether the control plane is to blame, so that starting it again may help."""

    def __str__(self) -> str:
        return f"{self.step} could not be undone: {self.error}"


@dataclass(frozen=True, slots=True)
class Undoer:
    """Undoes steps and writes down what it did."""

    log: FaultLog
    world: World
    kinds: Mapping[str, FaultKind]
    on_control_plane_hung: OnHung | None = None
    give_up_s: float = GIVE_UP_S

    def undo(self, steps: Sequence[OpenStep]) -> tuple[UndoFailure, ...]:
        """Undo all of them at once; what could not be. May ask, once, that a control plane be started again."""
        failures = self._try_all(steps)
        blamed = [failure for failure in failures if failure.control_plane]
        if not blamed or self.on_control_plane_hung is None:
            return failures
        try:
            self.on_control_plane_hung(blamed[0].error)
        except (CrashcartError, OSError) as problem:
            return tuple(
                UndoFailure(failure.step, f"{failure.error}; and then: {problem}", failure.control_plane)
                for failure in failures
            )
        others = tuple(failure for failure in failures if not failure.control_plane)
        return (*others, *self._try_all([failure.step for failure in blamed]))

    def _try_all(self, steps: Sequence[OpenStep]) -> tuple[UndoFailure, ...]:
        errors = at_once(self._undo_one, steps, within_s=self.give_up_s)
        failures = tuple(_failure(step, errors[step.key]) for step in steps if step.key in errors)
        for failure in failures:
            self._note("undo-failed", failure.step, failure.error)
        return failures

    def _undo_one(self, step: OpenStep) -> None:
        kind = self.kinds.get(step.step.kind)
        if kind is None:
            raise CrashcartError(f"this version knows no fault {step.step.kind!r}")
        self._note("will-undo", step)
        began, pause_s = time.monotonic(), _FIRST_PAUSE_S
        while True:
            tried = time.monotonic()
            try:
                kind.undo(step.step, self.world)
            except (CrashcartError, OSError):
                now = time.monotonic()
                if now - tried >= HUNG_S or now - began >= min(RETRY_FOR_S, self.give_up_s / 2):
                    raise
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._note("undone", step)
                return

    def _note(self, op: Op, step: OpenStep, error: str = "") -> None:
        """A log that can't be written (a full disk) is no reason to leave something broken."""
        try:
            self.log.note(op, step, error=error)
        except OSError:
            return


def at_once(
    act: Callable[[OpenStep], None], steps: Sequence[OpenStep], *, within_s: float
) -> dict[tuple[str, bytes], BaseException]:
    """`act` on every step, each in a thread of its own; step's key → error. Returns after `within_s`, come what may."""
    errors: dict[tuple[str, bytes], BaseException] = {}

    def one(step: OpenStep) -> None:
        try:
            act(step)
        except Exception as problem:  # noqa: BLE001 - a thread's top: whatever it was, the caller is told
            errors[step.key] = problem

    threads = [threading.Thread(target=one, args=(step,), name=f"{step}", daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    until = time.monotonic() + within_s
    for step, thread in zip(steps, threads, strict=True):
        thread.join(max(until - time.monotonic(), 0.001))
        if thread.is_alive():
            errors[step.key] = ControlPlaneError(f"no answer within {within_s:g} s")
    return errors


def _failure(step: OpenStep, error: BaseException) -> UndoFailure:
    if isinstance(error, CrashcartError | OSError):
        return UndoFailure(step, str(error), isinstance(error, ControlPlaneError))
    return UndoFailure(step, "".join(traceback.format_exception(error)), control_plane=False)
