"""What a run has left behind: processes, its record, its throw-away folder, faults that are still open by the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.errors import BadFile
from crashcart.model.recording import FILES
from crashcart.model.topology import ProcessRef
from crashcart.processes import is_same_process, name_of, processes_of_run
from crashcart.safety.active import read_active
from crashcart.safety.ending import find_state_dir
from crashcart.safety.faultlog import open_steps, read_log

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Residue:
    """What is left, in words, and when nothing was any more."""

    left: tuple[str, ...]
    clean_after_s: float | None
    """From when it was looked for; None where something was left to the end, or nobody can tell."""
    not_looked_at: tuple[str, ...] = ()
    """What may be of the run or of somebody else: whether it is, nobody could look."""


def wait_until_clean(recording: Path, temporary: str, known: frozenset[ProcessRef], within_s: float) -> Residue:
    """Look until nothing is left, at most so long.

    `known`: processes that are the run's, or its watchdog, by what was written down while it went on.
    """
    return look_until_clean(lambda: (what_is_left(recording, temporary, known), ()), within_s)


def look_until_clean(look: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]], within_s: float) -> Residue:
    """The same, by a look that says what is left, and of what nobody can tell."""
    began = time.monotonic()
    while any(seen := look()):
        if time.monotonic() - began > within_s:
            left, not_looked_at = seen
            return Residue(left, None, not_looked_at)
        time.sleep(_LOOK_S)
    return Residue((), round(time.monotonic() - began, 2))


def what_is_left(recording: Path, temporary: str, known: frozenset[ProcessRef]) -> tuple[str, ...]:
    """Everything, in words; () is clean."""
    run_id = recording.name
    living = {*processes_of_run(run_id, known), *(ref for ref in known if is_same_process(ref))}
    left = [f"process {ref.pid} ({name_of(ref)})" for ref in sorted(living, key=lambda ref: ref.pid)]
    if read_active(run_id) is not None:
        left.append("its record in the register")
    if folder := find_state_dir(run_id, temporary):
        left.append(f"its folder {folder}")
    try:
        left += [f"open fault: {step}" for step in open_steps(read_log(recording / FILES["faultlog"]))]
    except BadFile as problem:
        left.append(str(problem))
    return tuple(left)
