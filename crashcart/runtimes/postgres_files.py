"""What a killed Postgres leaves behind outside its processes."""

from __future__ import annotations

from pathlib import Path

_IPC_RMID = 0
_KEY_BITS = 0xFFFFFFFF
_PID_FILE = "postmaster.pid"
_SHARED_MEMORY_LINE = 6
"""`postmaster.pid`, 0-based: key and id of the shared memory that keeps two servers off one folder."""


def forget_shared_memory(data_dir: Path) -> None:
    """Give the kernel back the small System V segment that a killed server can not, and remove its pid file.

    Only for a folder whose server is known to be dead.
    """
    pid_file = data_dir / _PID_FILE
    try:
        lines = pid_file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    fields = lines[_SHARED_MEMORY_LINE].split() if len(lines) > _SHARED_MEMORY_LINE else []
    if len(fields) == 2 and fields[1].isdigit():
        _remove_segment(int(fields[0]), int(fields[1]))
    pid_file.unlink(missing_ok=True)


def _remove_segment(key: int, identifier: int) -> None:
    # ids are used again: the key must be the same, and nobody may be attached
    wanted = (key & _KEY_BITS, identifier)
    for line in Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if (int(fields[0]) & _KEY_BITS, int(fields[1])) == wanted and fields[6] == "0":
            import ctypes  # not needed but here, and the watchdog should be light

            ctypes.CDLL(None).shmctl(identifier, _IPC_RMID, None)
