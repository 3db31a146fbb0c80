"""One run at a time on a machine: two would share its cores, and neither could be believed."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crashcart.model.errors import UsageError

LOCK_VARIABLE = "CRASHCART_LOCK"
"""Another lock file, for machines that are cut into parts that do not disturb each other."""
_DEFAULT = "/tmp/crashcart-run.lock"  # noqa: S108 - a folder that all users share is what it takes; links are not followed


@contextmanager
def runlock(run_id: str, path: Path | None = None) -> Iterator[None]:
    """Hold the machine's lock. The kernel frees it when this process ends, however it does.

    Raises:
        UsageError: another run holds it; names its process and run.
    """
    path = path or Path(os.environ.get(LOCK_VARIABLE) or _DEFAULT)
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "run_id": run_id}).encode(), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            remedy = "wait until it has ended, or end it with `crashcart abort`"
            raise UsageError(f"another run is under way on this machine: {holder}", remedy=remedy) from None
        if _is_still_there(descriptor, path):
            return descriptor
        os.close(descriptor)  # somebody tidied the file away between open and lock: that lock holds nobody off


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:
            return os.open(path, flags)  # without O_CREAT, which sticky folders refuse for another user's file
        except FileNotFoundError:
            descriptor = os.open(path, flags | os.O_CREAT, 0o666)
            if os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o666)  # whatever the umask: other users must be able to take it after us
            return descriptor
    except OSError as problem:
        remedy = f"remove it, or name another file in {LOCK_VARIABLE}"
        raise UsageError(f"the lock can't be taken: {problem.strerror}", where=str(path), remedy=remedy) from problem


def _holder(descriptor: int) -> str:
    try:
        told = json.loads(os.pread(descriptor, 1024, 0))
        return f"{told['run_id']} of process {told['pid']}"
    except (ValueError, KeyError, TypeError):
        return "it has only just begun"


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
