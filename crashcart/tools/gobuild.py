"""Building a program from one of the Go modules in `go/`, whose go.sum pins every byte that goes into it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.errors import MissingTool
from crashcart.tools.cache import cache_dir, move_in, remove_tree, workshop, writable_cache_dir
from crashcart.tools.gotoolchain import NoGo, environment, find_go, wheel_place

MODULES = Path(__file__).parent / "go"

_BUILD_TIMEOUT_S = 3600.0
_PROGRESS_EVERY_S = 10.0
_CACHES = "go-caches"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one program is built."""

    module: str
    """The folder in `go/` with go.mod and go.sum; go.mod names the package as a `tool`."""

    package: str
    version: str
    version_symbol: str
    """The variable in which the program keeps the version that it prints."""

    program: str
    """The executable's name."""

    tags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The module's folder; it may be read-only."""
        return MODULES / self.module

    def arguments(self) -> tuple[str, ...]:
        """The arguments of `go` but for the output and the package."""
        stamp = f"-s -w -X {self.version_symbol}={self.version}"
        return ("build", "-v", "-trimpath", "-tags", ",".join(self.tags), "-ldflags", stamp)


def built(recipe: Recipe) -> list[tuple[Path, str]]:
    """The program that an earlier `build` left, as a list of candidates: one or none."""
    place = _place(recipe)
    return [(place, "built")] if place.exists() else []


def build(name: str, recipe: Recipe, *, remedy: str, progress: Callable[[str], None]) -> Path:
    """Build the program into the cache; returns its path. Only the holder of the set-up lock may call this.

    Raises:
        MissingTool: no compiler, no network, or the build failed; with `remedy` and the last lines.
    """
    cache = writable_cache_dir()
    try:
        go = find_go(_minimum_go(recipe), progress)
    except NoGo as problem:
        remedy = f"{remedy}; or put Go ≥ {_minimum_go(recipe)} on PATH to build it"
        raise MissingTool(name, remedy, f"{name} can not be built: {problem}") from problem
    caches = cache / _CACHES
    progress(f"{name}: building {recipe.version} from source with Go {go.version}")
    with workshop(cache) as scratch:
        module = scratch / "module"
        module.mkdir()
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(recipe.folder / file, module / file)
        output = scratch / recipe.program
        command = [str(go.executable), *recipe.arguments(), "-o", str(output), recipe.package]
        failure = _run(
            command, module, environment(go, caches), scratch / "log", lambda line: progress(f"{name}: {line}")
        )
        if failure is not None:
            raise MissingTool(name, remedy, f"{name} can not be built: {failure}")
        move_in(output, _place(recipe))
    return _place(recipe)


def remove_compiler() -> None:
    """The wheel's compiler and what it downloaded and compiled: two gigabytes, of no use once all is built."""
    remove_tree(cache_dir() / _CACHES)
    remove_tree(wheel_place())


def _place(recipe: Recipe) -> Path:
    """Where the built program belongs: another recipe, another place."""
    digest = hashlib.sha256("\0".join((*recipe.arguments(), recipe.package)).encode())
    for file in ("go.mod", "go.sum"):
        digest.update((recipe.folder / file).read_bytes())
    return cache_dir() / f"{recipe.module}-{recipe.version}-{digest.hexdigest()[:12]}" / recipe.program


def _minimum_go(recipe: Recipe) -> str:
    found = re.search(r"^go (\S+)$", (recipe.folder / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{recipe.folder}/go.mod names no Go version"
    return found.group(1)


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, progress: Callable[[str], None]
) -> str | None:
    """Run the compiler, saying now and then how far it is. What went wrong, or None."""
    start = time.monotonic()
    said = start
    with log.open("wb") as output:
        # a session of its own, so that compilers it starts go with it
        compiler = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                status = compiler.wait(timeout=1)
                break
            now = time.monotonic()
            if now - start > _BUILD_TIMEOUT_S:
                return f"not done after {_BUILD_TIMEOUT_S:.0f} s"
            if now - said >= _PROGRESS_EVERY_S:
                said = now
                progress(f"{len(log.read_bytes().splitlines())} packages and downloads, {now - start:.0f} s")
    finally:
        if compiler.poll() is None:
            os.killpg(compiler.pid, signal.SIGKILL)
            compiler.wait()
    if status == 0:
        return None
    complaints = [
        line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if ":" in line or " " in line
    ]
    return "; ".join(line.strip() for line in complaints[-3:]) or f"go ended with status {status}"
