"""Hits a part of a run: finds its process while the run goes on, and sends it a signal at a given moment."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.topology import ProcessRef
from crashcart.processes import is_same_process, process_ref
from crashcart.runtimes.ending import instance_pids, parents_first
from crashcart.runtimes.procfs import process_table
from crashcart.safety.active import read_active
from crashcart.safety.ending import find_state_dir, known_processes, read_topology
from crashcart.selftest.launching import Started

HARNESS, LOAD, TOXIPROXY, PROMETHEUS, WATCHDOG = "harness", "load", "toxiproxy", "prometheus", "watchdog"
TARGETS = (HARNESS, LOAD, TOXIPROXY, PROMETHEUS, WATCHDOG)
BOTH = "harness and watchdog"
KILL, INTERRUPT, STOP = "kill", "interrupt", "stop"
DEEDS = (KILL, INTERRUPT, STOP)
SIGNALS = {KILL: signal.SIGKILL, INTERRUPT: signal.SIGINT, STOP: signal.SIGSTOP}
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Strike:
    """What is to be done."""

    target: str
    deed: str
    at_s: float
    """From the command's start."""
    stopped_s: float = 0.0
    """Until it may go on, where it is stopped."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What was done, on the monotonic clock."""

    target: str
    deed: str
    from_mono_s: float
    until_mono_s: float | None
    """None where it was for good."""


class Scene:
    """Who is who in a run that goes on, as it writes it down."""

    def __init__(self, run: Started) -> None:
        self.run = run
        self.temporary = tempfile.gettempdir()
        self.known: frozenset[ProcessRef] = frozenset()
        """Every process seen so far that must be gone when the run is over."""

    def find(self, target: str) -> ProcessRef | None:
        """That part's process; None where it is not there yet, or not any more."""
        if target == HARNESS:
            return None if self.run.ended() else process_ref(self.run.pid)
        recording = self.run.recording()
        active = read_active(recording.name) if recording is not None else None
        if active is None:
            return None
        if active.watchdog is not None:
            self.known |= {active.watchdog}
        if target == WATCHDOG:
            return _living(active.watchdog)
        folder = active.state_dir or find_state_dir(active.run_id, active.temporary)
        return _living(self._part(active.run_id, folder, target)) if folder else None

    def _part(self, run_id: str, folder: str, name: str) -> ProcessRef | None:
        """As it was written down; while the shop boots nothing of it is, and its environment tells."""
        topology = read_topology(folder)
        self.known |= frozenset(known_processes(topology))
        noted = [one.process for one in topology.instances if one.name == name] if topology is not None else []
        if noted and noted[0] is not None:
            return noted[0]
        pids = instance_pids(run_id, name, Path(folder, "data", name))
        first = parents_first(pids, process_table())[:1]
        return process_ref(first[0]) if first else None

    def all_of(self, target: str) -> tuple[ProcessRef, ...]:
        """Both of two, or the one; () where not all are there."""
        wanted = (WATCHDOG, HARNESS) if target == BOTH else (target,)
        found = [ref for one in wanted if (ref := self.find(one)) is not None]
        return tuple(found) if len(found) == len(wanted) else ()


def carry_out_strike(scene: Scene, strike: Strike) -> Hit | None:
    """At its moment, or as soon after as the target is there. None where the run was over before."""
    struck_at = scene.run.began_mono_s + strike.at_s
    while not scene.run.ended():
        refs = scene.all_of(strike.target) if time.monotonic() >= struck_at else ()
        if refs:
            scene.find(LOAD)  # what was started by now is known by name before anybody dies
            return _strike(refs, strike)
        time.sleep(_LOOK_S)
    return None


def watch_lives(scene: Scene) -> dict[str, tuple[float, float]]:
    """From when to when each part was there, in seconds from the command's start, of a run that nobody hits."""
    lives: dict[str, tuple[float, float]] = {}
    while not scene.run.ended():
        for target in TARGETS:
            now_s = time.monotonic() - scene.run.began_mono_s
            if scene.find(target) is not None:
                lives[target] = (lives.get(target, (now_s, now_s))[0], now_s)
        time.sleep(5 * _LOOK_S)
    return lives


def _strike(refs: tuple[ProcessRef, ...], strike: Strike) -> Hit:
    began = time.monotonic()
    for ref in refs:
        send(ref, SIGNALS[strike.deed])
    if strike.deed != STOP:
        return Hit(strike.target, strike.deed, began, None)
    try:
        time.sleep(strike.stopped_s)
    finally:
        for ref in refs:
            send(ref, signal.SIGCONT)
    return Hit(strike.target, strike.deed, began, time.monotonic())


def send(ref: ProcessRef, number: signal.Signals) -> None:
    """To that very process, if it is still there."""
    if is_same_process(ref):
        try:
            os.kill(ref.pid, number)
        except ProcessLookupError:
            return  # gone meanwhile


def _living(ref: ProcessRef | None) -> ProcessRef | None:
    return ref if ref is not None and is_same_process(ref) else None
