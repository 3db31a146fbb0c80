"""Starting processes and waiting until they are ready, from several threads at once, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from crashcart.model.errors import BootError
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.spec import SpawnSpec, Started, start

LAST_LINES = 20
REMOVED = "its container was removed from the engine by somebody else"
LOOK_S = 0.1
"""How often somebody who waits for several looks up."""
_POLL_S = 0.02
_TAIL_BYTES = 32_768


class Cancelled(Exception):
    """Somebody else's failure has ended the boot, or nobody wants it any more."""


class Starter:
    """Starts nothing any more once it was cancelled. Thread-safe."""

    def __init__(self) -> None:
        self._starts = threading.Condition()
        self._under_way = 0
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """When this returns, nothing is started any more and every wait ends."""
        with self._starts:
            self._cancelled.set()
            self._starts.wait_for(lambda: self._under_way == 0)

    def spawn(self, spec: SpawnSpec) -> Started:
        """As `spec.start`, beside others. Cancelled, or BootError where the program can not be run."""
        with self._starts:
            self.check()
            self._under_way += 1
        try:
            return start(spec)
        finally:
            with self._starts:
                self._under_way -= 1
                self._starts.notify_all()

    def check(self) -> None:
        """Raise Cancelled where it was."""
        if self._cancelled.is_set():
            raise Cancelled

    def pause(self) -> None:
        """Until it is worth asking again."""
        if self._cancelled.wait(_POLL_S):
            raise Cancelled

    def run(self, spec: SpawnSpec, *, what: str) -> None:
        """Run it to its end. BootError (`what` failed) with its last lines where it does not exit with 0."""
        process = self.spawn(spec)
        while (code := process.poll()) is None:
            self.pause()
        if code != 0:
            raise BootError(spec.name, f"{what} failed ({exit_words(code)})", last_lines(spec.log))

    def wait_ready(
        self,
        how_it_ended: Callable[[], str],
        *,
        name: str,
        kind: str,
        address: str,
        log: str,
        within_s: float,
        flush_log: Callable[[], None],
    ) -> None:
        """Until it answers in its own words. BootError at once where it has ended, or if it takes too long.

        `how_it_ended`: in words, empty while it runs.
        """
        deadline = time.monotonic() + within_s
        while said := ask(kind, address):
            if how := how_it_ended():
                what = f"died while it started ({how})"
                raise BootError(name, what, last_lines(log), remedy=f"its whole log: {log}")
            if time.monotonic() > deadline:
                what = f"was not ready within {within_s:g} s: {said}"
                flush_log()
                raise BootError(name, what, last_lines(log), remedy=f"its whole log: {log}")
            self.pause()


def all_at_once(acts: Sequence[Callable[[], None]], starter: Starter, look: Callable[[], None]) -> None:
    """Each in a thread of its own, until all are done. The first error cancels the others; it is raised when they end.

    `look` is called ten times a second; what it raises counts as such an error.
    """
    pool = ThreadPoolExecutor(max_workers=len(acts), thread_name_prefix="boot")
    try:
        pending: set[Future[None]] = {pool.submit(act) for act in acts}
        while pending:
            done, pending = wait(pending, timeout=LOOK_S, return_when=FIRST_EXCEPTION)
            look()
            _raise_first(done)
    finally:
        starter.cancel()
        pool.shutdown(wait=True)


def _raise_first(done: set[Future[None]]) -> None:
    errors = [error for future in done if (error := future.exception()) is not None]
    # what was cancelled was so because of another
    for error in sorted(errors, key=lambda error: isinstance(error, Cancelled)):
        raise error


def ending_words(process: Started) -> str:
    """How it ended: `exit status 3`, or that somebody took its container away. Empty while it runs."""
    code = process.poll()
    if code is None:
        return ""
    return REMOVED if process.removed else exit_words(code)


def exit_words(code: int) -> str:
    """`exit status 3`, `signal 9`."""
    return f"exit status {code}" if code >= 0 else f"signal {-code}"


def last_lines(log: str | Path, count: int = LAST_LINES) -> tuple[str, ...]:
    """The end of a log, for people; empty where there is none."""
    try:
        with Path(log).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-count:]
