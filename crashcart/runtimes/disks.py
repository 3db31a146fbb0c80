"""A file system of an instance's own (tmpfs, of a declared size) for its data: one that can be filled for real.

Mounting takes root (CAP_SYS_ADMIN). What is filled is always such a disk and never one of the machine's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

from crashcart.model.errors import BootError, CrashcartError
from crashcart.ports import Observation

FILLER = ".crashcart-full"
"""The one file that takes all the room there is."""
PROBE = ".crashcart-probe"
KEEP_FULL_EVERY_S = 0.02
_CAP_SYS_ADMIN = 21
_MS_NOSUID, _MS_NODEV, _MNT_DETACH = 2, 4, 2
_ATTEMPTS = 1000
_MOUNTS = Path("/proc/self/mountinfo")


def lacks_disks() -> str:
    """Why no instance can have a disk of its own here; empty where it can."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1:
            return ""
    return "only root (CAP_SYS_ADMIN) can mount a disk for a service, and this is not root"


def mount_disk(folder: Path, size_mib: int) -> None:
    """Mount an empty disk of that size on the folder. BootError where the kernel refuses."""
    options = f"size={size_mib}m,mode=0700".encode()
    if _libc().mount(b"crashcart", os.fsencode(folder), b"tmpfs", _MS_NOSUID | _MS_NODEV, options) != 0:
        what = f"its disk can not be mounted: {os.strerror(ctypes.get_errno())}"
        raise BootError(folder.name, what, remedy="take disk_mib out of the design, or run as root")


def unmount_disks(below: Path) -> None:
    """Unmount every disk of ours below a folder, also one that something still uses. None is fine."""
    for path in own_disks():
        if path.is_relative_to(below.resolve()):
            _libc().umount2(os.fsencode(path), _MNT_DETACH)


def own_disks() -> list[Path]:
    """Where disks of ours are mounted."""
    found = []
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        # proc_pid_mountinfo(5): the mount point is the fifth field; type and source come after the lone hyphen
        fields, _, rest = line.partition(" - ")
        if rest.split()[:2] == ["tmpfs", "crashcart"]:
            found.append(Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields.split()[4])))
    return found


def fill_disk(folder: Path) -> KeptFull:
    """Leave no room on an instance's own disk, and keep it so until closed. The service's files are left alone.

    Raises:
        CrashcartError: there is no disk of its own there; nothing is filled then.
    """
    if folder.resolve() not in own_disks():
        raise CrashcartError("it has no disk of its own, so nothing was filled", where=str(folder))
    filler = folder / FILLER
    owner = folder.stat()
    handle = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchown(handle, owner.st_uid, owner.st_gid)  # the service may look at, and copy, all in its folder
    finally:
        os.close(handle)
    _take_all(filler)
    if free_bytes(folder):
        empty_disk(folder)
        raise CrashcartError("its disk did not become full", where=str(folder))
    return KeptFull(filler)


def empty_disk(folder: Path) -> None:
    """Give the room back. Idempotent; nothing but our own file is touched."""
    filler = folder / FILLER
    with suppress(FileNotFoundError):
        # a harness that hangs may have it open: what is cut off is free all the same
        os.truncate(filler, 0)
        filler.unlink()


def free_bytes(folder: Path) -> int:
    """What a service may still write."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


class KeptFull:
    """Implements `ports.Holder`: what the service gives up of its own files is taken, too."""

    def __init__(self, filler: Path) -> None:
        self._filler = filler
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keeps {filler.parent.name} full", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more. The room is not given back by this."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(KEEP_FULL_EVERY_S):
            try:
                _take_all(self._filler)
            except FileNotFoundError:  # somebody has given the room back
                return


class DiskObserver:
    """Implements `ports.Observer`: a real write, as the service would do it, that fails for want of room."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders

    def look(self) -> Observation:
        """There when none of the disks takes two pages more; the value is the most room of any, in KiB."""
        free = max(free_bytes(folder) for folder in self._folders)
        taken = [str(folder.name) for folder in self._folders if _takes_more(folder)]
        return Observation(not taken, free / 1024, f"{', '.join(taken)} took a write" if taken else "")

    def close(self) -> None:
        """Nothing is held."""


def _takes_more(folder: Path) -> bool:
    probe = folder / PROBE
    try:
        handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            wanted = b"\1" * 2 * os.sysconf("SC_PAGE_SIZE")
            return os.write(handle, wanted) == len(wanted)
        finally:
            os.close(handle)
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        return False
    finally:
        with suppress(OSError):
            probe.unlink()


def _take_all(filler: Path) -> None:
    """FileNotFoundError where the filler is not there (any more)."""
    for _ in range(_ATTEMPTS):
        handle = os.open(filler, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            own, room = os.fstat(handle), os.fstatvfs(handle)
            # unmounted meanwhile, it would be the machine's disk that is filled
            if room.f_bavail == 0 or own.st_dev == filler.parent.parent.stat().st_dev:
                return
            os.posix_fallocate(handle, own.st_size, room.f_bavail * room.f_frsize)
        except OSError as problem:  # the service was quicker: look again
            if problem.errno != errno.ENOSPC:
                raise
        finally:
            os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
