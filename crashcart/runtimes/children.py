"""The processes that a stack has started itself: who lives, who died, what CPU they used."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crashcart.runtimes.cgroups import IoCount, io_count
from crashcart.runtimes.procfs import Process, family, private_mib, process_table, read_process, resident_mib
from crashcart.runtimes.spec import Started
from crashcart.runtimes.starting import ending_words


@dataclass(slots=True)
class _Child:
    process: Started
    earlier_s: float = 0.0
    """CPU of the instance's former lives."""
    used_s: float = 0.0
    asked: bool = False
    """Its end, if it ends, is wanted."""
    turn: threading.RLock = field(default_factory=threading.RLock)
    """Held while it is killed or started again."""


class Children:
    """By instance name. Thread-safe."""

    def __init__(self) -> None:
        self._children: dict[str, _Child] = {}
        self._lock = threading.RLock()

    def add(self, name: str, process: Started) -> None:
        """A new process of that name; CPU of a former one stays counted."""
        with self._lock:
            former = self._children.get(name)
            if former is None:
                self._children[name] = _Child(process)
                return
            former.earlier_s += former.used_s
            former.process, former.used_s, former.asked = process, 0.0, False

    def pid(self, name: str) -> int | None:
        """Of its latest process; None before there is one."""
        with self._lock:
            child = self._children.get(name)
            return None if child is None else child.process.pid

    def turn(self, name: str) -> threading.RLock:
        """The lock under which one instance is killed or started. KeyError where it is not ours."""
        with self._lock:
            return self._children[name].turn

    def names(self) -> tuple[str, ...]:
        """Whatever was added."""
        with self._lock:
            return tuple(self._children)

    def expect_end(self, name: str) -> None:
        """From now on its end is no surprise. The CPU it has used is noted while that can still be read."""
        with self._lock:
            child = self._children[name]
            child.asked = True
            self._measure(child, process_table())

    def lives(self, name: str) -> bool:
        """Whether its first process runs."""
        return not self.how_it_ended(name)

    def how_it_ended(self, name: str) -> str:
        """In words; empty while its first process runs."""
        with self._lock:
            child = self._children[name]
            return ending_words(child.process) if self._ended(child) else ""

    def died(self) -> Mapping[str, Started]:
        """Those that ended without being asked to."""
        with self._lock:
            return {
                name: child.process for name, child in self._children.items() if not child.asked and self._ended(child)
            }

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each with all it started, dead ones and former lives included. Never decreases."""
        table = process_table()
        with self._lock:
            for child in self._children.values():
                self._measure(child, table)
            return {name: child.earlier_s + child.used_s for name, child in self._children.items()}

    def memory_mib(self) -> dict[str, float]:
        """Resident memory of each with all it started, pages they share counted for each of them; 0 for a dead one."""
        return self._in_all(resident_mib)

    def private_mib(self) -> dict[str, float]:
        """The same without files and what may be shared."""
        return self._in_all(private_mib)

    def _in_all(self, mib: Callable[[int], float]) -> dict[str, float]:
        table = process_table()
        with self._lock:
            members = {name: family({child.process.pid}, table) for name, child in self._children.items()}
        return {name: sum(mib(pid) for pid in pids) for name, pids in members.items()}

    def io_bytes(self) -> dict[str, IoCount]:
        """What each that has a network of its own has received, sent, read and written in its present life."""
        with self._lock:
            pids = {name: child.process.pid for name, child in self._children.items() if not child.process.has_ended()}
        counted = {name: io_count(pid) for name, pid in pids.items()}
        return {name: count for name, count in counted.items() if count is not None}

    def flush_log(self, name: str) -> None:
        """What it has printed is in its log when this returns."""
        with self._lock:
            process = self._children[name].process
        process.flush_log()

    def reap(self, name: str, within_s: float) -> None:
        """Wait for its end. subprocess.TimeoutExpired."""
        with self._lock:
            process = self._children[name].process
        process.wait(within_s)

    def reap_all(self, within_s: float) -> tuple[str, ...]:
        """Wait for the end of all, of each so long. Returns those that did not end."""
        return tuple(name for name in self.names() if not self._is_reaped(name, within_s))

    def _is_reaped(self, name: str, within_s: float) -> bool:
        try:
            self.reap(name, within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def let_go(self) -> None:
        """They go on without us: nobody waits for them."""
        with self._lock:
            for child in self._children.values():
                if child.process.returncode is None:
                    child.process.returncode = 0  # else Popen would complain that it is left running

    def _ended(self, child: _Child) -> bool:
        process = child.process
        if process.returncode is not None:
            return True
        # looked at before it is reaped: afterwards nobody can tell what it used
        if not process.has_ended():
            return False
        last = read_process(process.pid)
        if last is not None:
            child.used_s = max(child.used_s, last.cpu_s)
        return process.poll() is not None

    def _measure(self, child: _Child, table: Mapping[int, Process]) -> None:
        if child.process.returncode is not None:
            return
        members = family({child.process.pid}, table)
        child.used_s = max(child.used_s, sum(table[pid].cpu_s for pid in members if pid in table))
