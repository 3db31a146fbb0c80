"""Is this machine fit to run? Each thing is looked at by itself, so that one call tells all."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from crashcart.model.errors import MissingTool
from crashcart.tools import postgres
from crashcart.tools.account import entrance_closed_to, server_account
from crashcart.tools.cache import cache_dir
from crashcart.tools.programs import Unusable
from crashcart.tools.provision import FINDERS

PYTHON_MINIMUM = (3, 11)
CORES_MINIMUM = 2
MEMORY_MINIMUM_MIB = 1_500  # the whole shop, its databases and the load took 1,100 MiB at 40 orders a second
DISK_MINIMUM_MIB = 2_500  # building everything with the wheel's compiler took 2,100 MiB for a while
OPEN_FILES_MINIMUM = 4_096  # a proxied connection is four of them


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is None where there is nothing to do."""

    name: str
    ok: bool
    detail: str
    remedy: str | None


def doctor() -> tuple[Finding, ...]:
    """Everything a run depends on: Python, programs, accounts, folders, and what the machine has. Makes nothing."""
    return (
        _python(),
        *(_tool(name) for name in FINDERS),
        _server_account(),
        _cores(),
        _memory(),
        *_disks(),
        *_folders(),
        _temporary_folder(),
        _kernel(),
        _open_files(),
        _loopback(),
    )


def _finding(name: str, ok: bool, detail: str, remedy: str) -> Finding:
    return Finding(name, ok, detail, None if ok else remedy)


def _python() -> Finding:
    detail = f"{platform.python_version()} ({sys.executable})"
    return _finding("python", sys.version_info >= PYTHON_MINIMUM, detail, "use Python 3.11 or newer")


def _tool(name: str) -> Finding:
    try:
        tool = FINDERS[name]()
    except MissingTool as problem:
        return Finding(name, False, problem.what, problem.remedy)
    return Finding(name, True, f"{tool.version}, {tool.origin} ({tool.path})", None)


def _server_account() -> Finding:
    account = server_account()
    whose = f"postgres runs as {account.name}"
    try:
        postgres.run_as_account(postgres.find())
    except MissingTool:
        return Finding(
            "server account", False, f"{whose}; not tried, there is no postgres yet", "run `crashcart setup`"
        )
    except Unusable as problem:
        return Finding(
            "server account", False, str(problem), "run as an ordinary user, or as root with CAP_SETUID and CAP_SETGID"
        )
    return Finding("server account", True, whose, None)


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return _finding("cores", cores >= CORES_MINIMUM, f"{cores}, load {load:.1f}", f"give it {CORES_MINIMUM} cores")


def _memory() -> Finding:
    import psutil

    free_mib = psutil.virtual_memory().available // 2**20
    return _finding(
        "memory", free_mib >= MEMORY_MINIMUM_MIB, f"{free_mib} MiB available", f"free {MEMORY_MINIMUM_MIB} MiB"
    )


def _disks() -> Iterator[Finding]:
    for name, folder in (
        ("disk of the cache", cache_dir()),
        ("disk of the temporary folder", Path(tempfile.gettempdir())),
    ):
        free_mib = shutil.disk_usage(_existing(folder)).free // 2**20
        yield _finding(
            name, free_mib >= DISK_MINIMUM_MIB, f"{free_mib} MiB free ({folder})", f"free {DISK_MINIMUM_MIB} MiB"
        )


def _folders() -> Iterator[Finding]:
    places: tuple[tuple[str, str, Callable[[str], Path]], ...] = (
        ("cache folder", "XDG_CACHE_HOME", platformdirs.user_cache_path),
        ("state folder", "XDG_STATE_HOME", platformdirs.user_state_path),
    )
    for name, variable, place in places:
        folder = place("crashcart")
        writable = os.access(_existing(folder), os.W_OK | os.X_OK)
        yield _finding(name, writable, str(folder), f"set {variable} to a folder that you can write")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _temporary_folder() -> Finding:
    folder = Path(tempfile.gettempdir())
    account = server_account()
    closed = entrance_closed_to(account, folder)
    detail = str(folder) if closed is None else f"{folder}: {account.name} can not enter {closed}"
    return _finding("temporary folder", closed is None, detail, "set TMPDIR to a folder that every account can enter")


def _kernel() -> Finding:
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    detail = f"{platform.system()} {platform.release()} {platform.machine()}"
    return _finding(
        "kernel", boot_id.exists(), detail, "run on Linux with /proc mounted: undoing after a reboot needs the boot id"
    )


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    detail = f"{soft}, may be raised to {'any number' if unlimited else hard}"
    return _finding("open files", unlimited or hard >= OPEN_FILES_MINIMUM, detail, f"ulimit -Hn {OPEN_FILES_MINIMUM}")


def _loopback() -> Finding:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as problem:
        return Finding("loopback", False, f"127.0.0.1 can not be bound: {problem}", "bring the interface lo up")
    try:
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return Finding("loopback", True, "127.0.0.1", None)
    return Finding("loopback", True, f"127.0.0.1, ephemeral ports {low} to {high}", None)
