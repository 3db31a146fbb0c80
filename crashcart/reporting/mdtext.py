"""Foreign text in Markdown: shown and never obeyed, in tables too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from crashcart.reporting import words

_LONGEST = 240
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&{}$])")
_AT_THE_START = re.compile(r"^([-+=#]|\d+(?=[.)](\s|$)))")
_CALLS = re.compile(r"@(?=\w)|#(?=\d)|:(?=//|[\w+-]+:)|www(?=\.)", re.IGNORECASE)
"""What servers make mentions, links and pictures of, whatever is escaped: `@me`, `#1`, `https://`, `www.`, `:name:`."""
_JOINER = "\u2060"
"""Takes no room and breaks no line, but keeps what it stands between apart."""


def prose(text: str) -> str:
    """A sentence that may hold words from the shop. One line."""
    shown = _CALLS.sub(rf"\g<0>{_JOINER}", words.clean(text, longest=_LONGEST).strip())
    shown = _SPECIAL.sub(r"\\\1", shown)
    found = _AT_THE_START.match(shown)
    if found is None:
        return shown
    before, after = (found[1], shown[found.end() :]) if found[1].isdigit() else ("", shown)
    return f"{before}\\{after}"


def code(text: str) -> str:
    """A name or value as code, in which nothing is obeyed; in tables, too."""
    shown = words.clean(text, longest=_LONGEST).strip().replace("`", "'").replace("|", "¦") or words.NONE
    return f"`{shown}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: int = 0) -> Iterator[str]:
    """Lines of a table; cells are Markdown already. The last `right` columns hold numbers."""
    yield _row(head)
    yield _row(["---"] * (len(head) - right) + ["---:"] * right)
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
