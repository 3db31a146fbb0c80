"""What the author probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 100
"""What nobody meant to write is like nothing."""


def did_you_mean(word: str, known: Iterable[str], what: str) -> str:
    """`did you mean "purchase-success"?`, else the whole list of what exists."""
    choices = list(known)
    # comparing texts takes as long as they are long, squared
    near = [choice for choice in choices if len(choice) <= _LONGEST] if len(word) <= _LONGEST else []
    close = difflib.get_close_matches(word, near, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known {what}: {', '.join(choices)}" if choices else f"there are no {what}"
