"""The watchdog's own process: one loop that looks for four things, ten times a second.

The pipe from the harness closes: it died. It says nothing for a while: it hangs. A step has outlived its expiry. The
harness says that all is over.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile
from crashcart.model.fault import LogRecord
from crashcart.ports import FaultKind
from crashcart.processes import is_same_process
from crashcart.safety.active import ActiveRun, forget, read_active
from crashcart.safety.aftermath import clear_up
from crashcart.safety.ending import read_topology
from crashcart.safety.faultlog import FaultLog, OpenStep, open_steps, read_log, step_key
from crashcart.safety.undoing import Undoer
from crashcart.safety.worlds import DetachedWorld

BEAT, RELEASE, END, STACK = "beat", "release", "end", "stack"
"""What the harness says, one a line; `stack` is followed by the stack's folder."""

TICK_S = 0.1
OVERSLEPT_S = 0.5
"""Slept for so much too long, the whole machine was stopped: the harness can't be blamed for its silence."""
UNDO_WITHIN_S = 2.2
"""A little longer than a control plane is given to answer. Meanwhile nobody watches, so it must be short."""
UNDO_AGAIN_S = 2.0
AT_IT_S = 10.0
"""A harness that is undoing a step itself, and alive, is left to it for so long beyond the expiry."""
INBOX = 0
NOT_CLEARED = 5


class Orders(msgspec.Struct, frozen=True):
    """What the watchdog is told when it starts."""

    run: ActiveRun
    silence_s: float
    """Without a sign of life for so long, everything that is open is undone."""
    hang_limit_s: float
    """And for so long, everything is stopped."""


class Patrol:
    """The loop and its memory."""

    def __init__(self, orders: Orders, log: FaultLog, kinds: Mapping[str, FaultKind]) -> None:
        self._orders = orders
        self._run = orders.run
        self._log = log
        self._kinds = kinds
        self._heard_at = time.monotonic()
        self._tried: dict[tuple[str, bytes], float] = {}
        self._records: Sequence[LogRecord] = ()
        self._records_size = -1
        self._unread = ""

    def go(self) -> int:
        """Until the run is over, one way or another. Returns the exit status."""
        poll = select.poll()
        poll.register(INBOX, select.POLLIN)
        while True:
            slept_at = time.monotonic()
            events = poll.poll(TICK_S * 1000)
            if time.monotonic() - slept_at > TICK_S + OVERSLEPT_S:
                self._heard_at = time.monotonic()
            said = self._hear() if events else ()
            if said is not None and RELEASE in said:
                return 0
            if said is not None and END in said:
                return self._clear_up("the harness left it behind")
            # the pipe alone is not proof: a child that was forked without exec holds its end open, too
            if said is None or not is_same_process(self._run.harness):
                return self._clear_up("the harness died")
            silent_s = time.monotonic() - self._heard_at
            if silent_s >= self._orders.hang_limit_s:
                return self._clear_up(f"the harness has hung for {silent_s:.0f} s")
            if silent_s >= self._orders.silence_s:
                self._undo(self._open(), f"the harness has not been heard of for {silent_s:.1f} s")
            else:
                self._undo(self._overrun(), "its time was over")

    def _hear(self) -> Sequence[str] | None:
        """What was said since; None when there is nobody any more to say anything."""
        try:
            data = os.read(INBOX, 65_536)
        except OSError:
            return None
        if not data:
            return None
        *lines, self._unread = (self._unread + data.decode(errors="replace")).split("\n")
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == STACK:
                self._run = msgspec.structs.replace(self._run, state_dir=rest)
        self._heard_at = time.monotonic()
        return lines

    def _open(self) -> list[OpenStep]:
        """What is open by the log, read again only when it has grown."""
        size = self._log.size()
        if size != self._records_size:
            try:
                self._records, self._records_size = read_log(Path(self._run.faultlog)), size
            except BadFile as problem:
                say("unreadable", str(problem))
                self._records_size = size
        return list(open_steps(self._records))

    def _overrun(self) -> list[OpenStep]:
        now, steps = time.monotonic(), self._open()
        last = {step_key(record.fault, record.step): record for record in self._records}
        return [
            step for step in steps if step.expires_mono_s <= now and not _is_at_it(last.get(step.key), now - AT_IT_S)
        ]

    def _undo(self, steps: list[OpenStep], why: str) -> None:
        now = time.monotonic()
        steps = [step for step in steps if now >= self._tried.get(step.key, now)]
        if not steps:
            return
        topology = read_topology(self._run.state_dir) if self._run.state_dir else None
        if topology is None:
            say("left", f"{why}, but it is not known what was started")
            self._tried |= {step.key: now + UNDO_AGAIN_S for step in steps}
            return
        undoer = Undoer(self._log, DetachedWorld(topology), self._kinds, give_up_s=UNDO_WITHIN_S)
        failures = {failure.step.key: failure for failure in undoer.undo(steps)}
        self._tried |= {step.key: time.monotonic() + UNDO_AGAIN_S for step in steps}
        for step in steps:
            failure = failures.get(step.key)
            say("left" if failure else "undone", f"{failure}" if failure else f"{step}, because {why}")

    def _clear_up(self, why: str) -> int:
        run = read_active(self._run.run_id) or self._run
        if self._run.state_dir:
            run = msgspec.structs.replace(run, state_dir=self._run.state_dir)
        after = clear_up(run, self._kinds, by=self._log.by)
        for what in after.done:
            say("done", f"{what}, because {why}")
        for what in after.left:
            say("left", what)
        if after.living:
            return NOT_CLEARED
        forget(run.run_id)
        say("done", f"nothing of {run.run_id} runs any more: {why}")
        return NOT_CLEARED if after.left else 0


def _is_at_it(last: LogRecord | None, since_mono_s: float) -> bool:
    return last is not None and last.op == "will-undo" and last.by == "harness" and last.at_mono_s > since_mono_s


def say(what: str, text: str) -> None:
    """To the harness, if it is still there, and to our own log."""
    line = json.dumps({"wall": datetime.now(UTC).isoformat(timespec="milliseconds"), "what": what, "text": text})
    for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
        try:
            os.write(descriptor, line.encode() + b"\n")
        except OSError:  # nobody listens any more, or the disk is full
            continue


def main(argument: str) -> int:
    """The process's top: ready at once, what is slow to load comes after."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    orders = msgspec.json.decode(argument, type=Orders)
    with FaultLog(Path(orders.run.faultlog), by="watchdog") as log:
        say("ready", str(os.getpid()))
        return Patrol(orders, log, _kinds()).go()


def _kinds() -> Mapping[str, FaultKind]:
    from crashcart.faults import registry

    return registry()
