"""A campaign: many cases, one after the other. What was cut short, however that was, goes on where it stopped.

Each result is on disk when its case has ended.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from crashcart.model.errors import BadFile, CrashcartError, UsageError

LEDGER_FORMAT = "crashcart/selftest/v1"
_REMEDY = "name another folder with --out, or none: then it begins anew"


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one case. A part of the selftest adds what it measures."""

    line: str
    """In a line, for people."""
    found: tuple[str, ...] = ()
    """What must not be, a sentence each. Empty: nothing was found."""
    recording: str = ""
    """Of its last run, below the campaign's folder; empty where there is none."""


ResultT = TypeVar("ResultT", bound=CaseResult)


@dataclass(frozen=True, slots=True)
class Campaign(Generic[ResultT]):
    """What is to be done."""

    name: str
    """`a-a`, `fire`: of its files, too."""
    asked: Mapping[str, str]
    """All that must be the same for results to be counted together: the experiment, the commit, a seed."""
    cases: tuple[str, ...]
    """Their names, in order, none twice."""
    result: type[ResultT]
    execute: Callable[[str], ResultT]
    """Carries out the case of that name. What it raises ends the campaign; the case is made anew the next time."""


def carry_out(campaign: Campaign[ResultT], out: Path, tell: Callable[[str], None]) -> dict[str, ResultT]:
    """Every case that has no result yet. Results by case in the campaign's order, with all that the folder holds.

    Also those that were not asked for this time count: what was found before is not forgotten by asking for less.

    Raises:
        UsageError: the folder can't be written, is being written by somebody else, or holds another campaign.
        CrashcartError: there is no more room for a result; the others are kept.
        BadFile: the ledger there is spoilt.
    """
    assert len(set(campaign.cases)) == len(campaign.cases), "each case has a name of its own"
    with _opened(out / f"{campaign.name}.jsonl") as descriptor:
        done = _read(descriptor, out / f"{campaign.name}.jsonl", campaign)
        missing = [case for case in campaign.cases if case not in done]
        if len(missing) < len(campaign.cases):
            tell(f"{campaign.name}: {len(campaign.cases) - len(missing)} of {len(campaign.cases)} were done before")
        for place, case in enumerate(missing, start=1 + len(campaign.cases) - len(missing)):
            began = time.monotonic()
            result = campaign.execute(case)
            _keep(descriptor, case, result, out)
            done[case] = result
            took_s = time.monotonic() - began
            tell(f"{campaign.name} {place}/{len(campaign.cases)} {case}: {result.line} ({took_s:.0f} s)")
            for what in result.found:
                tell(f"  FOUND: {what}")
    return _ordered(campaign.cases, done)


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    campaign: str
    asked: dict[str, str]


class _Line(msgspec.Struct, frozen=True):
    case: str
    result: msgspec.Raw


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The ledger, which nobody else may write meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path), remedy=_REMEDY) from error
    try:
        _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        what = "another selftest is writing there"
        raise UsageError(what, where=str(path), remedy="wait for it, or name another folder with --out") from None


def _read(descriptor: int, path: Path, campaign: Campaign[ResultT]) -> dict[str, ResultT]:
    """What is there already. A last line cut short by a crash is taken off; an empty ledger gets its head."""
    head, *lines = _whole_lines(descriptor, path) or [b""]
    asked = _Head(LEDGER_FORMAT, campaign.name, dict(campaign.asked))
    if not head:
        _append(descriptor, msgspec.json.encode(asked))
        return {}
    if (found := _decoded(head, _Head, path, 1)) != asked:
        raise UsageError(
            f"there are results of something else: {_differing(found, asked)}", where=str(path), remedy=_REMEDY
        )
    done: dict[str, ResultT] = {}
    for number, text in enumerate(lines, start=2):
        line = _decoded(text, _Line, path, number)
        done[line.case] = _decoded(bytes(line.result), campaign.result, path, number)
    return done


def _whole_lines(descriptor: int, path: Path) -> list[bytes]:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.ftruncate(descriptor, whole)
    return content[:whole].splitlines()


_T = TypeVar("_T")


def _decoded(text: bytes, kind: type[_T], path: Path, number: int) -> _T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise BadFile(f"not a line of a selftest: {error}", file=path, line=number, remedy=_REMEDY) from error


def _keep(descriptor: int, case: str, result: CaseResult, out: Path) -> None:
    try:
        _append(descriptor, msgspec.json.encode(_Line(case, msgspec.Raw(msgspec.json.encode(result)))))
    except OSError as error:
        what = f"the result of {case} can't be kept: {error.strerror}"
        remedy = "make room; the same command with --out and this folder goes on from here"
        raise CrashcartError(what, where=str(out), remedy=remedy) from error


def _append(descriptor: int, line: bytes) -> None:
    os.write(descriptor, line + b"\n")
    os.fsync(descriptor)


def _differing(found: _Head, asked: _Head) -> str:
    before = {"format": found.format, "campaign": found.campaign, **found.asked}
    now = {"format": asked.format, "campaign": asked.campaign, **asked.asked}
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {before.get(name, 'not there')}, now {now.get(name, 'not there')}" for name in names)


def _ordered(cases: Iterable[str], done: Mapping[str, ResultT]) -> dict[str, ResultT]:
    return {case: done[case] for case in dict.fromkeys((*cases, *done))}
