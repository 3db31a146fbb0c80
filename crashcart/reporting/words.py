"""Numbers and foreign text as people read them. Nothing here rounds a miss into a hit."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping

from crashcart.model.verdict import FollowUp

NBSP = "\u00a0"
NONE = "–"
"""Shown where there is no value: not measured, no events."""

_OBEYED = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Unicode's categories of what moves, hides or turns text round, and of what is no character at all."""

MAX_TEXT = 400
"""Longest piece of text from the shop that is shown; what follows is cut, visibly."""


def clean(text: str, *, longest: int = MAX_TEXT) -> str:
    """Text from the shop without what a terminal or a browser would obey (control and direction characters)."""
    text = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    shown = "".join(char if _is_shown(char) else "\ufffd" for char in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _is_shown(char: str) -> bool:
    return unicodedata.category(char) not in _OBEYED


def visible(text: str) -> str:
    """Text of several lines without what a terminal would obey; lines and tabs are kept."""
    if text.isprintable():
        return text
    kept = ("\n", "\t")
    return "".join(char if char in kept or _is_shown(char) else "\ufffd" for char in text)


def value(thing: object) -> str:
    """A witness's cell: text as it is, lists joined, nothing as a dash."""
    if thing is None:
        return NONE
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, list | tuple):
        return clean(", ".join(value(item) for item in thing))
    if isinstance(thing, float):
        return f"{thing:.6g}"
    return clean(str(thing))


def cells(row: Mapping[str, object]) -> list[tuple[str, object]]:
    """A witness's columns, what leads to the logs first."""
    return sorted(row.items(), key=lambda item: item[0] != "reference")


def count(number: int | None) -> str:
    """12345 → `12,345`."""
    return NONE if number is None else f"{number:,}".replace("-", "−")


def decimal(number: float | None, digits: int = 1) -> str:
    """12345.67 → `12,345.7`."""
    return NONE if number is None or not math.isfinite(number) else f"{number:,.{digits}f}".replace("-", "−")


def share(ratio: float | None) -> str:
    """0.9 → `90.00 %`; never 100 % for less than all, nor 0 % for more than none."""
    if ratio is None or not math.isfinite(ratio):
        return NONE
    for digits in (2, 3, 4, 5):
        text = f"{100 * ratio:.{digits}f}"
        if ratio in (0, 1) or float(text) not in (0.0, 100.0):
            return f"{text}{NBSP}%".replace("-", "−")
    return f">{NBSP}99.999{NBSP}%" if ratio > 0.5 else f"<{NBSP}0.001{NBSP}%"


def target(ratio: float) -> str:
    """An objective as it was written: 0.9 → `90 %`, 0.995 → `99.5 %`."""
    return f"{float(f'{100 * ratio:.6f}'):g}{NBSP}%"


def margin(points: float | None) -> str:
    """Observed less objective, in percentage points: 0.0123 → `+1.23`; a miss is never shown as zero."""
    if points is None or not math.isfinite(points):
        return NONE
    digits = next((digits for digits in (2, 3, 4) if points == 0 or round(100 * points, digits)), 5)
    return f"{100 * points:+.{digits}f}".replace("-", "−")


def milliseconds(ms: float | None) -> str:
    """0.42 → `0.42 ms`, 38.2 → `38 ms`, 1234 → `1.23 s`."""
    if ms is None or not math.isfinite(ms):
        return NONE
    if abs(ms) >= 999.5:
        return f"{ms / 1000:.{2 if abs(ms) < 10_000 else 1}f}{NBSP}s".replace("-", "−")
    digits = 0 if abs(ms) >= 10 else 1 if abs(ms) >= 1 else 2
    return f"{ms:.{digits}f}{NBSP}ms".replace("-", "−")


def seconds(time_s: float | None) -> str:
    """4.25 → `4.2 s`, 150 → `2 min 30 s`."""
    if time_s is None or not math.isfinite(time_s):
        return NONE
    if abs(time_s) < 120:
        text = f"{time_s:.1f}"
        return f"{text.removesuffix('.0')}{NBSP}s".replace("-", "−")
    minutes, rest = divmod(round(abs(time_s)), 60)
    sign = "−" if time_s < 0 else ""
    return f"{sign}{minutes}{NBSP}min" + (f" {rest}{NBSP}s" if rest else "")


def clock(time_s: float, whole_s: float) -> str:
    """A place on the time axis: `40 s` in a short run, `12:30` in a long one."""
    if whole_s <= 180:
        return f"{time_s:g}{NBSP}s"
    sign, time = ("−" if time_s < 0 else ""), round(abs(time_s))
    return f"{sign}{time // 60}:{time % 60:02d}"


def money(cents: int | None) -> str:
    """123456 → `1,234.56`. Which currency, the books do not say."""
    return NONE if cents is None else f"{cents / 100:,.2f}".replace("-", "−")


def chance(p_value: float | None) -> str:
    """0.0312 → `0.031`, 1e-9 → `< 0.001`."""
    if p_value is None or not math.isfinite(p_value):
        return NONE
    return f"<{NBSP}0.001" if p_value < 0.001 else f"{p_value:.2g}" if p_value < 0.1 else f"{p_value:.2f}"


def moment(wall: str) -> str:
    """`2026-11-22T08:51:12.187Z` → `2026-11-22 08:51 UTC`; anything else as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?(?:Z|\+00:00)", wall)
    return f"{found[1]} {found[2]} UTC" if found else clean(wall)


def time_of_day(stamp: str) -> str:
    """`2026-11-22T08:51:12.187+00:00` → `08:51:12.187`; anything else as it is."""
    found = re.fullmatch(r"\d{4}-\d\d-\d\d[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:Z|[+-]\d\d:\d\d)?", stamp)
    return found[1] if found else clean(stamp)


def plural(number: int, one: str, many: str = "") -> str:
    """`1 order`, `2 orders`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def cohort(name: str) -> str:
    """`network:amex` → `network: amex`; `all` → `all shoppers`."""
    return "all shoppers" if name == "all" else clean(name.replace(":", ": ").replace("_", " "))


def headline(sentence: str, outcome: str) -> str:
    """The sentence without the verdict's word before it, which stands beside it anyway: `Pass: all …` → `All …`."""
    word, colon, rest = sentence.partition(": ")
    return rest[:1].upper() + rest[1:] if colon and rest and word.lower() == outcome else sentence


def followed_up(follow_up: FollowUp) -> str:
    """In a sentence."""
    part = share(follow_up.told / follow_up.failed) if follow_up.failed else NONE
    said = f"{count(follow_up.told)} of {count(follow_up.failed)} ({part}) were written to"
    if follow_up.delay_p50_s is None or follow_up.delay_p99_s is None:
        return f"{said}."
    half, most = seconds(follow_up.delay_p50_s), seconds(follow_up.delay_p99_s)
    return f"{said}, half of them within {half}, 99{NBSP}% within {most}."


def sentences(*parts: str) -> str:
    """Parts that were written to stand alone, as sentences in a row; empty ones are left out."""
    said = (part.strip() for part in parts)
    return " ".join(f"{part[0].upper()}{part[1:].removesuffix('.')}." for part in said if part)
