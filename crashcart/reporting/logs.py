"""What the logs say of the references in witnesses: from a row of the books to the story behind it."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from crashcart.reporting import words

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{2,63}")
"""References that may stand in a command to copy; what else the shop wrote might be obeyed by a shell."""

_MOST_BYTES = 256 << 20
"""Of each log; a report must not take longer to write than to read."""

_MOST_LINES = 16
"""Of each reference."""

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
    """Reference → the lines that name it, of all services, in order of their own time stamps."""
    wanted = sorted({reference for reference in references if is_plain(reference)})
    found: dict[str, list[LogLine]] = {reference: [] for reference in wanted}
    if wanted and logs.is_dir():
        pattern = re.compile(b"|".join(re.escape(reference.encode()) for reference in wanted))
        for path in sorted(logs.glob("*.log")):
            for line in _matches(path, pattern):
                for reference in {match.decode() for match in pattern.findall(line)}:
                    found[reference].append(_read(path.name, line))
    return {
        reference: tuple(sorted(lines, key=lambda line: line.at)[:_MOST_LINES])
        for reference, lines in found.items()
        if lines
    }


def _matches(path: Path, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """Whole lines that match, each once."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end, at = min(len(content), _MOST_BYTES), 0
        while match := pattern.search(content, at, end):
            start = content.rfind(b"\n", 0, match.start()) + 1
            stop = content.find(b"\n", match.end())
            stop = len(content) if stop < 0 else stop
            yield content[start:stop]
            at = stop


def _read(log: str, line: bytes) -> LogLine:
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        record = None
    if not isinstance(record, dict):
        return LogLine(log, "", "", words.clean(line.decode(errors="replace")), "")
    rest = ", ".join(f"{key}={words.value(value)}" for key, value in record.items() if key not in _HEAD)
    head = {key: words.value(record.get(key, "")) for key in _HEAD}
    return LogLine(log, head["ts"], head["level"], head["event"], words.clean(rest))
