"""Asking a program what it is, and whether that is new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crashcart.model.errors import MissingTool
from crashcart.tools.toolbox import Tool

ANSWER_TIMEOUT_S = 20.0
"""`--version` takes milliseconds; a cold disk or a busy machine takes longer."""

_NUMBERS = re.compile(r"(?<![\d.])\d+(?:\.\d+)+")


Look = Callable[[], tuple[Tool | None, tuple[str, ...]]]
"""The tool, where there is one that will do, and why others will not."""


class Unusable(Exception):
    """A program that is there but will not do; the message says why."""


def version_of(executable: Path, argument: str = "--version", *, environment: Mapping[str, str] | None = None) -> str:
    """The version that the program prints, such as `18.6`.

    Raises:
        Unusable: it can't be started, hangs, fails, or prints no version.
    """
    try:
        answer = subprocess.run(
            [executable, argument],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Unusable(f"{executable} can not be run: {problem}") from problem
    found = _NUMBERS.search(answer.stdout + answer.stderr)
    if answer.returncode != 0 or found is None:
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise Unusable(
            f"{executable} {argument} says {lines[0]!r}" if lines else f"{executable} {argument} says nothing"
        )
    return found.group()


def require(version: str, minimum: str, executable: Path) -> None:
    """Raises Unusable where `version` is older than `minimum`; both dotted numbers."""
    if numbers(version) < numbers(minimum):
        raise Unusable(f"{executable} is {version}, at least {minimum} is needed")


def numbers(version: str) -> tuple[int, ...]:
    """`2.42.0` → (2, 42, 0)."""
    return tuple(int(part) for part in version.split("."))


def usable(name: str, executable: Path, origin: str, *, minimum: str, argument: str = "--version") -> Tool:
    """The tool at that path, asked for its version.

    Raises:
        Unusable: as `version_of`, or too old.
    """
    version = version_of(executable, argument)
    require(version, minimum, executable)
    return Tool(name, version, executable.absolute(), origin)


def first_usable(
    name: str, candidates: Sequence[tuple[Path, str]], *, minimum: str, argument: str = "--version"
) -> tuple[Tool | None, tuple[str, ...]]:
    """The first candidate (executable, origin) that will do, and why those before it will not."""
    refused: list[str] = []
    for executable, origin in candidates:
        try:
            return usable(name, executable, origin, minimum=minimum, argument=argument), tuple(refused)
        except Unusable as problem:
            refused.append(str(problem))
    return None, tuple(refused)


def missing(name: str, remedy: str, refused: Sequence[str]) -> MissingTool:
    """The error to raise where no program will do; `refused` says of each that was looked at why not."""
    return MissingTool(name, remedy, "; ".join((f"{name} is not available", *refused)))


def find_by(look: Look, name: str, remedy: str) -> Tool:
    """What `look` finds.

    Raises:
        MissingTool: there is none that will do; `crashcart setup` gets one.
    """
    tool, refused = look()
    if tool is None:
        raise missing(name, f"run `crashcart setup`, or {remedy}", refused)
    return tool


def make_by(
    look: Look, name: str, remedy: str, get: Callable[[Callable[[str], None]], None], progress: Callable[[str], None]
) -> Tool:
    """As `find_by`; where there is none, `get` is to bring it about first, and may raise MissingTool itself."""
    tool, refused = look()
    if tool is not None:
        return tool
    for reason in refused:
        progress(f"{name}: {reason}")
    get(progress)
    return find_by(look, name, remedy)


def on_path(program: str) -> list[tuple[Path, str]]:
    """The program on PATH as a list of candidates: one or none."""
    found = shutil.which(program)
    return [(Path(found), "PATH")] if found else []


def named_by(variable: str) -> Path | None:
    """The path in that environment variable, None where it is unset or empty."""
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser() if value else None


def named_tool(name: str, variable: str, *, minimum: str, argument: str = "--version") -> Tool | None:
    """The program that the user named in an environment variable: used or refused, never replaced.

    Raises:
        MissingTool: the variable is set, and what it names will not do.
    """
    executable = named_by(variable)
    if executable is None:
        return None
    try:
        return usable(name, executable, variable, minimum=minimum, argument=argument)
    except Unusable as problem:
        raise MissingTool(name, f"correct {variable} or unset it", f"{name}: {problem} ({variable})") from problem
