"""The throw-away folder of a stack."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from crashcart.model.errors import BootError
from crashcart.runtimes.postgres_files import forget_shared_memory

STATE_PREFIX = "crashcart-"
_ENTER = 0o001


def make_state_dir(run_id: str, account_name: str, account_uid: int | None) -> Path:
    """The throw-away folder of a new stack: its name tells the run, others may pass through it and not look around.

    Raises:
        BootError: there is no temporary folder through which the database servers' account can reach its data.
    """
    refused = []
    for parent in dict.fromkeys((Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp"))):  # noqa: S108 - mkdir refuses what exists
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
    shutil.rmtree(state_dir, ignore_errors=True)
