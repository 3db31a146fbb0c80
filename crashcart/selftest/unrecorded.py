"""What a run has left that came to no recording: it is looked for by what the selftest began it with.

Nobody has told its id. But its processes have the session and the environment that they were begun with, its record
says where its recording was to be, and of throw-away folders and records it is known which were there before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.topology import ProcessRef
from crashcart.processes import is_same_process, name_of, process_ref
from crashcart.runtimes.procfs import environment, family, process_table
from crashcart.safety.active import active_runs, unreadable_records
from crashcart.safety.ending import all_state_dirs
from crashcart.selftest.launching import CASE_VARIABLE, Started
from crashcart.selftest.residue import Residue, look_until_clean, what_is_left


@dataclass(frozen=True, slots=True)
class Before:
    """What was there when the run had not begun."""

    temporary: str
    state_dirs: frozenset[Path]
    unreadable: frozenset[Path]


def look_before(temporary: str) -> Before:
    """To be called before the run is begun."""
    return Before(temporary, all_state_dirs(temporary), frozenset(unreadable_records()))


def wait_until_unrecorded_is_clean(
    run: Started, before: Before, known: frozenset[ProcessRef], within_s: float
) -> Residue:
    """Look until nothing is left, at most so long."""
    return look_until_clean(lambda: (_left(run, before, known), _unclear(run, before)), within_s)


def _left(run: Started, before: Before, known: frozenset[ProcessRef]) -> tuple[str, ...]:
    living = {*_begun_by(run), *(ref for ref in known if is_same_process(ref))}
    left = [f"process {ref.pid} ({name_of(ref)})" for ref in sorted(living, key=lambda ref: ref.pid)]
    for folder in _recordings(run):
        left += what_is_left(folder, before.temporary, known)
    return tuple(dict.fromkeys(left))


def _unclear(run: Started, before: Before) -> tuple[str, ...]:
    """What has come since and tells nothing of whose it is: another's run at the same time, or this one's."""
    others = {one.run_id for one in active_runs()} | {folder.name for folder in _recordings(run)}
    unnamed = [
        path for path in all_state_dirs(before.temporary) - before.state_dirs if not path.name.endswith(tuple(others))
    ]
    spoilt = frozenset(unreadable_records()) - before.unreadable
    return (
        *(f"nobody can tell whose {path} is" for path in sorted(unnamed)),
        *(f"nobody can read the record {path}" for path in sorted(spoilt)),
    )


def _recordings(run: Started) -> tuple[Path, ...]:
    """Folders that were begun, or were to be by the register. Their names are runs' ids; a run has one."""
    begun = {path for path in run.folder.glob("*/*") if path.is_dir()}
    registered = (Path(one.recording) for one in active_runs())
    return tuple(sorted(begun | {path for path in registered if path.is_relative_to(run.folder)}))


def _begun_by(run: Started) -> frozenset[ProcessRef]:
    """Every living process with the session or the environment that the command was begun with, and their children."""
    table, case = process_table(), str(run.folder)
    ours = {
        row.pid for row in table.values() if row.session == run.pid or environment(row.pid).get(CASE_VARIABLE) == case
    }
    pids = family(ours, table) - {os.getpid()}
    return frozenset(ref for pid in pids if (ref := process_ref(pid)) is not None)
