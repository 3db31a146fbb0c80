"""A base image out of the distribution's own packages, from the mirror that apt itself is set to."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from crashcart.model.errors import UsageError

PACKAGES = ("ca-certificates", "libnss-wrapper", "python3", "python3-pip")
_NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
)
_TIMEOUT_S = 900.0


def codename() -> str:
    """Such as `bookworm`.

    Raises:
        UsageError: this is no Debian or Ubuntu.
    """
    name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if not name or shutil.which("apt-get") is None:
        raise UsageError("stand-ins are made of Debian's packages, and this is no Debian", remedy="use a registry")
    return name


def make_tree(parent: Path, progress: Callable[[str], None]) -> Path:
    """A small Debian with Python in it, under `parent`. Half a minute or more. Root only: it needs device files.

    Raises:
        UsageError: no debootstrap, no mirror, or it failed; with its last lines.
    """
    if shutil.which("debootstrap") is None:
        raise UsageError("there is no debootstrap here", remedy="apt-get install debootstrap")
    root = parent / "root"
    suite = codename()
    progress(f"base: debootstrap {suite}, a minute or so …")
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(root), _mirror(suite)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if answer.returncode != 0:
        last = "".join(f"\n  | {line}" for line in (answer.stdout + answer.stderr).splitlines()[-8:])
        raise UsageError(f"debootstrap failed:{last}", remedy="`apt-get update` tells whether the mirror answers")
    for folder in _NOT_NEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)
    # whoever builds on it brings a mirror of their own
    (root / "etc/apt/sources.list").write_text("", encoding="utf-8")
    return root


def pack_tree(root: Path, progress: Callable[[str], None]) -> Path:
    """That tree as a tar beside it."""
    progress("base: packing …")
    archive = root.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True, timeout=_TIMEOUT_S)
    return archive


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Where the tree is made: on a disk, of which it takes half a gigabyte."""
    return tempfile.TemporaryDirectory(prefix="crashcart-engine-", dir="/var/tmp")


def _mirror(suite: str) -> str:
    """Read from apt, whose configuration has a form for every release."""
    answer = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(CODENAME)|$(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for line in answer.stdout.splitlines():
        site, name, component = line.rsplit("|", 2)
        if (name, component) == (suite, "main"):
            return site
    raise UsageError(f"apt knows no mirror with {suite} main", remedy="apt-get update")
