"""The throw-away folder of a stack."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from crashcart.model.errors import BootError
from crashcart.runtimes.disks import unmount_disks
from crashcart.runtimes.postgres_files import forget_shared_memory

STATE_PREFIX = "crashcart-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - as below
_ROOM_BYTES = 2 * 1024**3
"""A run of minutes writes a few hundred megabytes."""
_ENTER = 0o001


def make_state_dir(run_id: str, account_name: str, account_uid: int | None) -> Path:
    """The throw-away folder of a new stack: its name tells the run, others may pass through it and not look around.

    It is made in $TMPDIR; without one in shared memory where there is plenty (the thousand files of each database
    server are made in 0.1 s there, in a second and more on some disks), else in the usual temporary folder.

    Raises:
        BootError: there is no folder through which the database servers' account can reach its data.
    """
    refused = []
    for parent in _candidates():
        blocked = _blocked_for(parent, account_uid)
        if blocked is not None:
            refused.append(f"{account_name} can not enter {blocked}")
            continue
        state_dir = parent.resolve() / f"{STATE_PREFIX}{run_id}"
        try:
            state_dir.mkdir(mode=0o700)
        except OSError as problem:
            refused.append(f"{state_dir}: {problem.strerror}")
            continue
        state_dir.chmod(0o711)  # whatever the umask
        return state_dir
    raise BootError(
        "state", f"no place for throw-away data: {'; '.join(refused)}", remedy="set TMPDIR to such a folder"
    )


def _candidates() -> tuple[Path, ...]:
    usual = (Path(tempfile.gettempdir()), Path("/var/tmp"))  # noqa: S108 - mkdir refuses a folder that exists
    if os.environ.get("TMPDIR") or not _is_roomy(_SHARED_MEMORY):
        return usual
    return (_SHARED_MEMORY, *usual)


def _is_roomy(folder: Path) -> bool:
    try:
        filesystem = os.statvfs(folder)
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    available_kib = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)
    free = filesystem.f_bavail * filesystem.f_frsize
    return os.access(folder, os.W_OK | os.X_OK) and free >= _ROOM_BYTES and available_kib * 1024 >= 2 * _ROOM_BYTES


def _blocked_for(parent: Path, account_uid: int | None) -> Path | None:
    if account_uid is None:
        return None
    real = parent.resolve()
    return next((folder for folder in (*reversed(real.parents), real) if not folder.stat().st_mode & _ENTER), None)


def remove_state(state_dir: Path) -> None:
    """Remove a stack's throw-away folder, and nothing that is not one."""
    if not state_dir.name.startswith(STATE_PREFIX) or state_dir.is_symlink():
        return
    for data_dir in state_dir.glob("data/*"):
        forget_shared_memory(data_dir)
    unmount_disks(state_dir)
    shutil.rmtree(state_dir, ignore_errors=True)
