"""A file altered as text and as bytes, whatever stands in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.unit.loading.altered_data import Alter, OneOf, Pick
from tests.unit.loading.snippets import LINES, VALUES


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True) or [""]


def _drop_line(text: str, pick: Pick, one_of: OneOf) -> str:
    lines = _lines(text)
    del lines[pick(len(lines) - 1)]
    return "".join(lines)


def _repeat_line(text: str, pick: Pick, one_of: OneOf) -> str:
    lines = _lines(text)
    at = pick(len(lines) - 1)
    lines.insert(pick(len(lines)), lines[at])
    return "".join(lines)


def _indent_line(text: str, pick: Pick, one_of: OneOf) -> str:
    lines = _lines(text)
    at = pick(len(lines) - 1)
    depth = len(lines[at]) - len(lines[at].lstrip(" "))
    indent = (
        " " * (depth + 1),
        " " * (depth + 2),
        " " * max(0, depth - 1),
        " " * max(0, depth - 2),
        "\t",
        "\u00a0",
        "\u3000",
    )
    lines[at] = one_of(indent) + lines[at].lstrip(" ")
    return "".join(lines)


def _swap_lines(text: str, pick: Pick, one_of: OneOf) -> str:
    lines = _lines(text)
    one, other = pick(len(lines) - 1), pick(len(lines) - 1)
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def _add_lines(text: str, pick: Pick, one_of: OneOf) -> str:
    lines = _lines(text)
    lines.insert(pick(len(lines)), one_of(LINES))
    return "".join(lines)


_TOKEN = re.compile(r"[\w.-]+|[^\w\s]")


def _swap_tokens(text: str, pick: Pick, one_of: OneOf) -> str:
    found = list(_TOKEN.finditer(text))
    if len(found) < 2:
        return text
    one, other = sorted((found[pick(len(found) - 1)], found[pick(len(found) - 1)]), key=lambda match: match.start())
    if one.start() == other.start():
        return text
    return text[: one.start()] + other[0] + text[one.end() : other.start()] + one[0] + text[other.end() :]


def _replace_token(text: str, pick: Pick, one_of: OneOf) -> str:
    found = list(_TOKEN.finditer(text))
    if not found:
        return text
    match = found[pick(len(found) - 1)]
    return text[: match.start()] + one_of(VALUES) + text[match.end() :]


_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def _alter_number(text: str, pick: Pick, one_of: OneOf) -> str:
    """To one near by, or of another order: what often still makes a plan."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return text
    match = found[pick(len(found) - 1)]
    value = float(match[0])
    others = (
        0,
        -value,
        value + 1,
        value - 1,
        value * 2,
        value / 2,
        value * 10,
        value / 10,
        value * 1_000,
        value / 1_000,
    )
    return text[: match.start()] + f"{others[pick(len(others) - 1)]:.12g}" + text[match.end() :]


def _cut(text: str, pick: Pick, one_of: OneOf) -> str:
    return text[: pick(len(text))]


def _drop_characters(text: str, pick: Pick, one_of: OneOf) -> str:
    at = pick(len(text))
    return text[:at] + text[at + 1 + pick(20) :]


_ODD = (
    *"\0\x01\x07\x0b\x0c\r\x1b\x7f\x85\u00a0\u2028\u202e\u2066\u200b\ufeff\ufffe\U0001f6d2\t\"'#:,[]{}&*!|>%@`?-\\",
    "\r\n",
    "é",
)


def _put_character(text: str, pick: Pick, one_of: OneOf) -> str:
    at = pick(len(text))
    return text[:at] + one_of(_ODD) + text[at:]


def _tabs(text: str, pick: Pick, one_of: OneOf) -> str:
    return re.sub(r"^( +)", lambda match: "\t" * (len(match[1]) // 2 or 1), text, flags=re.MULTILINE)


def _empty(text: str, pick: Pick, one_of: OneOf) -> str:
    return one_of(("", "\n", "# nothing\n", "null\n", "[]\n", "text\n", "---\n", "{}\n"))


ON_TEXT: Mapping[str, Alter] = {
    "line dropped": _drop_line,
    "line repeated": _repeat_line,
    "line indented": _indent_line,
    "lines swapped": _swap_lines,
    "lines added": _add_lines,
    "tokens swapped": _swap_tokens,
    "token replaced": _replace_token,
    "number altered": _alter_number,
    "another number altered": _alter_number,
    "cut short": _cut,
    "characters dropped": _drop_characters,
    "character put in": _put_character,
    "tabs": _tabs,
    "emptied": _empty,
}


def _flip(text: str, pick: Pick) -> bytes:
    data = bytearray(text.encode("utf-8", "surrogatepass") or b"x")
    for _ in range(1 + pick(2)):
        data[pick(len(data) - 1)] = pick(255)
    return bytes(data)


def _encoded(codec: str, before: bytes = b"") -> Callable[[str, Pick], bytes]:
    return lambda text, pick: before + text.encode(codec, "replace")


def _latin(text: str, pick: Pick) -> bytes:
    at = pick(len(text))
    return (text[:at] + "é" + text[at:]).encode("latin-1", "replace")


def _newlines(newline: str) -> Callable[[str, Pick], bytes]:
    return lambda text, pick: text.replace("\n", newline).encode("utf-8", "surrogatepass")


ON_BYTES: Mapping[str, Callable[[str, Pick], bytes]] = {
    "bytes flipped": _flip,
    "flipped bytes": _flip,
    "with a BOM": _encoded("utf-8-sig"),
    "UTF-16": _encoded("utf-16"),
    "UTF-16 without a BOM": _encoded("utf-16-le"),
    "UTF-32": _encoded("utf-32"),
    "latin-1": _latin,
    "NULs at the end": lambda text, pick: text.encode("utf-8", "surrogatepass") + b"\0" * (1 + pick(600)),
    "CRLF": _newlines("\r\n"),
    "CR": _newlines("\r"),
    "NEL": _newlines("\x85"),
    "line separators": _newlines("\u2028"),
}
