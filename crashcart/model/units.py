"""Durations as people write them in YAML: `500ms`, `20s`, `2m`, `1h`."""

from __future__ import annotations

import re

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
DURATION_REMEDY = "write a number and a unit: 500ms, 20s, 2m or 1h"
DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)$",
    "examples": ["500ms", "20s", "2m"],
}


class Duration(float):
    """Seconds, written with a unit in files. A float in every other respect."""

    def __repr__(self) -> str:
        return format_duration(self)


def no_time() -> Duration:
    """0 s, as a default: JSON Schema has no word for a default of our own type, so it must be made each time."""
    return Duration(0)


def parse_duration(text: object) -> Duration:
    """Seconds, to the microsecond, from `500ms`, `20s`, `2m`, `1h`; ValueError says what would be right."""
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration: {DURATION_REMEDY}")
    return Duration(round(float(match[1]) * _UNIT_S[match[2]], 6))


def format_duration(seconds: float) -> str:
    """The shortest exact way to write it: 0.3 → `300ms`, 20 → `20s`, 90 → `90s`, 120 → `2m`."""
    if seconds and seconds < 1:
        return f"{round(seconds * 1000, 3):g}ms"
    if seconds and seconds % 60 == 0:
        return f"{seconds / 60:g}m"
    return f"{round(seconds, 3):g}s"
