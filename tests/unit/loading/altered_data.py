"""A file altered as data: its values, keys and entries, each within its text, so that the rest stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.unit.loading.places import Place, places
from tests.unit.loading.snippets import KEYS, LONG, VALUES

Pick = Callable[[int], int]
OneOf = Callable[[tuple[str, ...]], str]
Alter = Callable[[str, Pick, OneOf], str]
"""A text, where (0 to the given most), which of several: another text."""


def _put(text: str, place: Place, snippet: str) -> str:
    """In the place of a block the snippet ends its line."""
    old = text[place.start : place.end]
    return text[: place.start] + snippet + ("\n" if old.endswith("\n") else "") + text[place.end :]


def _replace_value(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).values
    return _put(text, found[pick(len(found) - 1)], one_of(VALUES)) if found else text


def _blow_up_value(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).values
    return _put(text, found[pick(len(found) - 1)], one_of(LONG)) if found else text


def _rename_key(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).keys
    return _put(text, found[pick(len(found) - 1)], one_of(KEYS)) if found else text


def _misspell_key(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).keys
    if not found:
        return text
    place = found[pick(len(found) - 1)]
    at = place.start + pick(place.end - place.start)
    return text[:at] + text[at + 1 :]


def _take_key_of_another(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).keys
    if not found:
        return text
    other = found[pick(len(found) - 1)]
    return _put(text, found[pick(len(found) - 1)], text[other.start : other.end])


def _take_value_of_another(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).values
    if not found:
        return text
    other = found[pick(len(found) - 1)]
    return _put(text, found[pick(len(found) - 1)], text[other.start : other.end].rstrip("\n"))


def _remove_entry(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).entries
    if not found:
        return text
    place = found[pick(len(found) - 1)]
    return text[: place.start] + text[place.end :].lstrip(", ")


def _repeat_entry(text: str, pick: Pick, one_of: OneOf) -> str:
    """On one line with commas, else line by line at the same depth."""
    found = places(text).entries
    if not found:
        return text
    place = found[pick(len(found) - 1)]
    entry, times = text[place.start : place.end], (1, 1, 1, 2, 2_000)[pick(4)]
    begins = text.rfind("\n", 0, place.start) + 1
    before = text[begins : place.start]
    in_flow = before.count("{") + before.count("[") > before.count("}") + before.count("]")
    between = ", " if in_flow else "\n" + (before if not before.strip(" -") else "")
    return (
        text[: place.end].rstrip("\n")
        + (between + entry.rstrip("\n")) * times
        + text[place.end - entry.endswith("\n") :]
    )


def _nest_value(text: str, pick: Pick, one_of: OneOf) -> str:
    found = places(text).values
    if not found:
        return text
    place, depth = found[pick(len(found) - 1)], (1, 2, 30, 50)[pick(3)]
    value = text[place.start : place.end].strip()
    opened, closed = (("[", "]"), ("{a: ", "}"))[pick(1)]
    return _put(text, place, opened * depth + value + closed * depth)


def _anchor(text: str, pick: Pick, one_of: OneOf) -> str:
    """An anchor on one value, its alias in the place of another."""
    found = places(text).values
    if len(found) < 2:
        return text
    first, second = sorted((found[pick(len(found) - 1)], found[pick(len(found) - 1)]), key=lambda place: place.start)
    if second.start < first.end:
        return text[: first.start] + "&anchor " + text[first.start :]
    put = _put(text, second, "*anchor")
    return put[: first.start] + "&anchor " + put[first.start :]


ON_DATA: Mapping[str, Alter] = {
    "value replaced": _replace_value,
    "value of another": _take_value_of_another,
    "value blown up": _blow_up_value,
    "value nested": _nest_value,
    "key renamed": _rename_key,
    "key misspelt": _misspell_key,
    "key of another": _take_key_of_another,
    "entry removed": _remove_entry,
    "entry repeated": _repeat_entry,
    "anchor and alias": _anchor,
}
