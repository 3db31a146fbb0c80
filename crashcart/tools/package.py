"""One program out of a Debian package, unpacked as an ordinary user: nothing is installed, no service starts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from crashcart.tools.cache import move_in, workshop, writable_cache_dir

_DOWNLOAD_TIMEOUT_S = 300.0
_UNPACK_TIMEOUT_S = 120.0


class NoPackage(Exception):
    """The distribution has no such package, or it can't be had now; the message says why."""


def unpack(package: str, program: Path, place: Path, *, check: Callable[[Path], None]) -> None:
    """Put the package's `program` (a relative path in it) at `place`, if `check` lets it pass.

    Raises:
        NoPackage: no `apt-get` or `dpkg-deb`, no such package in its lists, no network, no such program in it.
        Exception: what `check` raises.
    """
    for needed in ("apt-get", "dpkg-deb"):
        if shutil.which(needed) is None:
            raise NoPackage(f"no distribution package: there is no {needed} here")
    with workshop(writable_cache_dir()) as scratch:
        _run(["apt-get", "download", "-qq", package], scratch, _DOWNLOAD_TIMEOUT_S)
        archives = list(scratch.glob("*.deb"))
        if len(archives) != 1:
            raise NoPackage(f"apt-get download {package} gave {len(archives)} packages")
        _run(["dpkg-deb", "--extract", archives[0].name, "tree"], scratch, _UNPACK_TIMEOUT_S)
        made = scratch / "tree" / program
        if not made.is_file():
            raise NoPackage(f"the package {package} has no {program}")
        check(made)
        move_in(made, place)


def _run(command: Sequence[str], folder: Path, timeout_s: float) -> None:
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoPackage(f"no distribution package: {problem}") from problem
    if answer.returncode != 0:
        last = (answer.stderr or answer.stdout).strip().splitlines()[-1:] or [f"exit status {answer.returncode}"]
        raise NoPackage(f"no distribution package: {command[0]} says {last[0]}")
