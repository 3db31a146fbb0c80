"""What the logs say of the references in witnesses: from a row of the books to the story behind it."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from crashcart.reporting import words

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{2,63}")
"""References that may stand in a command to copy; what else the shop wrote might be obeyed by a shell."""

_MOST_BYTES = 64 << 20
"""Of each log; a report must not take longer to write than to read."""

_MOST_LINES = 40
"""Of each reference."""

_MOST_OF_ONE_LOG = 80
"""Lines of a reference that are looked at in one log, before the earliest of all logs are chosen."""

_MOST_MATCHES = 20_000
"""Lines of one log; a service that repeats a reference without end is not read to the end."""

_LONGEST_LINE = 16 << 10
"""Bytes; of a longer one the part around the reference is shown."""

_HEAD = ("ts", "level", "service", "reference", "event")


class LogLine(msgspec.Struct, frozen=True):
    """One line of a log that names a reference."""

    log: str
    """File name below `logs/`."""
    at: str
    level: str
    event: str
    rest: str


def is_plain(reference: object) -> bool:
    """Whether it is a reference and nothing else."""
    return isinstance(reference, str) and _PLAIN.fullmatch(reference) is not None


def search_command(reference: str) -> str:
    """What to type in the recording's folder. Only for plain references."""
    return f"grep -rhF {reference} logs/"


def find_lines(logs: Path, references: Iterable[str]) -> dict[str, tuple[LogLine, ...]]:
    """Reference → the lines that name it, of all services, in order of their own time stamps.

    A log may hold anything: lines without an end, bytes that are no text, JSON without a bottom. What can't be read is
    shown as it is, or left out; links and pipes are not followed.
    """
    wanted = sorted({reference for reference in references if is_plain(reference)})
    found: dict[str, list[LogLine]] = {reference: [] for reference in wanted}
    if wanted and logs.is_dir():
        pattern = re.compile(b"|".join(re.escape(reference.encode()) for reference in wanted))
        for path in sorted(logs.glob("*.log")):
            for reference, lines in _search(path, pattern).items():
                found[reference] += lines
    return {
        reference: tuple(sorted(lines, key=lambda line: line.at)[:_MOST_LINES])
        for reference, lines in found.items()
        if lines
    }


def _search(path: Path, pattern: re.Pattern[bytes]) -> dict[str, list[LogLine]]:
    """One log's lines by reference, the first few of each."""
    found: dict[str, list[LogLine]] = {}
    with contextlib.suppress(OSError, ValueError):  # gone meanwhile, not ours to read, or emptied while it was opened
        for line in itertools.islice(_matches(path, pattern), _MOST_MATCHES):
            for reference in {match.decode() for match in pattern.findall(line)}:
                lines = found.setdefault(reference, [])
                if len(lines) < _MOST_OF_ONE_LOG:
                    lines.append(_read(path.name, line))
    return found


def _matches(path: Path, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """Lines that match, each once; of a line that is too long, what stands around the match."""
    if path.is_symlink() or not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end, at = min(len(content), _MOST_BYTES), 0
        while match := pattern.search(content, at, end):
            first, last = max(0, match.start() - _LONGEST_LINE), min(len(content), match.end() + _LONGEST_LINE)
            start = max(content.rfind(b"\n", first, match.start()) + 1, first)
            stop = content.find(b"\n", match.end(), last)
            stop = last if stop < 0 else stop
            yield content[start:stop]
            at = stop


def _read(log: str, line: bytes) -> LogLine:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return LogLine(log, "", "", words.clean(line.decode(errors="replace")), "")
    try:
        rest = ", ".join(f"{key}={words.value(value)}" for key, value in record.items() if key not in _HEAD)
        head = {key: words.value(record.get(key, "")) for key in _HEAD}
    except RecursionError:
        return LogLine(log, "", "", words.clean(line.decode(errors="replace")), "")
    return LogLine(log, head["ts"], head["level"], head["event"], words.clean(rest))
