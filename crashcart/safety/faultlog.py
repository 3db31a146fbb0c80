"""The fault log: what is about to be broken stands on disk before it is broken, with all that is needed to mend it.

Several processes append to one file (harness, watchdog, `recover`): each record is one `write`, with O_APPEND.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from crashcart.model.errors import BadFile
from crashcart.model.fault import LogRecord, Step
from crashcart.processes import boot_id

_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(LogRecord)

Op = Literal["will-inject", "injected", "will-undo", "undone", "undo-failed"]


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step that was announced and not taken back."""

    fault: str
    step: Step
    expires_mono_s: float
    boot_id: str

    @property
    def key(self) -> tuple[str, bytes]:
        """What makes it this step and no other."""
        return step_key(self.fault, self.step)

    def __str__(self) -> str:
        return f"{self.fault} {self.step.kind} on {self.step.target}"


def step_key(fault: str, step: Step) -> tuple[str, bytes]:
    """Equal for the same step of the same fault, whoever wrote it down."""
    return fault, _sorting_encoder.encode(step)


class FaultLog:
    """Appends records, each on disk when `append` returns. Threads may share it."""

    def __init__(self, path: Path, *, by: str = "harness") -> None:
        """Opens or creates `path`; a record cut short by a crash is taken off its end. `by` is put into each record."""
        self.path = path
        self.by = by
        created = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        _mend_end(self._file, path)
        if created:
            _sync_folder(path.parent)

    def append(self, record: LogRecord) -> None:
        """Write one record and wait until it is on disk. OSError where it is not: the deed must not be done then."""
        line = _encoder.encode(record) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):  # a disk that is full takes a part; the part must not spoil the next record
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(f"{self.path} took {written} of {len(line)} bytes")
        os.fsync(self._file)

    def note(self, op: Op, step: OpenStep, *, error: str = "") -> None:
        """Append that `op` happens to `step` now."""
        self.append(
            LogRecord(
                op=op,
                fault=step.fault,
                step=step.step,
                at_mono_s=round(time.monotonic(), 6),
                wall=datetime.now(UTC).isoformat(timespec="milliseconds"),
                boot_id=boot_id(),
                expires_mono_s=step.expires_mono_s,
                by=self.by,
                error=error,
            )
        )

    def size(self) -> int:
        """Bytes; grows with every record of anybody."""
        return os.fstat(self._file).st_size

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def read_log(path: Path) -> tuple[LogRecord, ...]:
    """All records; () where there is no file. A last line cut short by a crash is left out: its deed was never done.

    Raises:
        BadFile: any other line is not a record.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    *lines, rest = content.split(b"\n")
    records = [_decode(line, path, number) for number, line in enumerate(lines, start=1)]
    last = _decode_or_none(rest)
    return (*records, last) if last is not None else tuple(records)


def open_steps(records: Iterable[LogRecord]) -> tuple[OpenStep, ...]:
    """Steps announced and not taken back, in the order in which they were announced.

    A step that the harness reports as injected after somebody else undid it is open again.
    """
    found: dict[tuple[str, bytes], OpenStep] = {}
    for record in records:
        step = OpenStep(record.fault, record.step, record.expires_mono_s, record.boot_id)
        if record.op == "undone":
            found.pop(step.key, None)
        else:
            found.setdefault(step.key, step)
    return tuple(found.values())


def announced_steps(records: Iterable[LogRecord]) -> tuple[OpenStep, ...]:
    """Every step that was ever announced, taken back or not."""
    return open_steps(record for record in records if record.op != "undone")


def _decode(line: bytes, path: Path, number: int) -> LogRecord:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as problem:
        remedy = "undo by hand what it may have said: `crashcart recover` ends the run's processes all the same"
        raise BadFile(f"not a record of a fault log: {problem}", file=path, line=number, remedy=remedy) from problem


def _decode_or_none(line: bytes) -> LogRecord | None:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None


def _mend_end(file: int, path: Path) -> None:
    """End the last record with a newline where only that is missing; take a part of a record off."""
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return
    start = content.rfind(b"\n") + 1
    if _decode_or_none(content[start:]) is None:
        os.ftruncate(file, start)
    else:
        os.write(file, b"\n")
    os.fsync(file)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
