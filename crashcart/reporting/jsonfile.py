"""`verdict.json` in canonical bytes: the same verdict is the same file, so that `cmp` compares judgements."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile
from crashcart.model.verdict import VERDICT_FORMAT, Verdict
from crashcart.reporting.files import write_text

_SIGNIFICANT_DIGITS = 12
"""Sums of floats differ in their last bits with the order of adding; nothing measured here is that exact."""


def verdict_json(verdict: Verdict) -> str:
    """Sorted keys, floats to twelve significant digits, two spaces of indent, a newline at the end."""
    plain = _stable(msgspec.to_builtins(verdict, order="sorted"))
    return msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=2).decode() + "\n"


def write_verdict(path: Path, verdict: Verdict) -> Path:
    """Write it whole or not at all."""
    return write_text(path, verdict_json(verdict))


def read_verdict(path: Path) -> Verdict:
    """Read `verdict.json` again; BadFile where it is missing, cut short or of another format."""
    try:
        verdict = msgspec.json.decode(path.read_bytes(), type=Verdict)
    except OSError as error:
        raise BadFile(
            f"cannot be read: {error.strerror}", file=path, line=None, remedy="judge the recording"
        ) from error
    except msgspec.MsgspecError as error:
        raise BadFile(f"is not a verdict: {error}", file=path, line=None, remedy="judge the recording again") from error
    if verdict.format != VERDICT_FORMAT:
        remedy = f"this crashcart reads {VERDICT_FORMAT}: judge the recording again"
        raise BadFile(f"is of the format {verdict.format!r}", file=path, line=None, remedy=remedy)
    return verdict


def _stable(thing: object) -> object:
    if isinstance(thing, float):
        if not math.isfinite(thing):
            return None
        return float(f"{thing:.{_SIGNIFICANT_DIGITS}g}") + 0.0  # no negative zero
    if isinstance(thing, dict):
        return {key: _stable(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_stable(value) for value in thing]
    return thing
