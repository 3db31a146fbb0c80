"""What becomes of a file in other hands: altered as text, as bytes, and as data. Hypothesis draws what and where."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.unit.loading.altered_data import ON_DATA
from tests.unit.loading.altered_text import ON_BYTES, ON_TEXT
from tests.unit.loading.places import places


@dataclass(frozen=True, slots=True)
class Mutation:
    """A file's new content, and a word on how it came about for whoever reads of a failure."""

    how: str
    data: bytes

    def __repr__(self) -> str:
        """As Hypothesis shows it."""
        shown = self.data if len(self.data) < 2_000 else self.data[:1_000] + b" ... " + self.data[-200:]
        return f"Mutation({self.how!r}, {shown!r})"


def mutations(text: str) -> st.SearchStrategy[Mutation]:
    """One alteration of that text, now and then two."""
    return _mutated(text)


@st.composite
def _mutated(draw: st.DrawFn, text: str) -> Mutation:
    def pick(most: int) -> int:
        return draw(st.integers(0, max(most, 0)))

    def one_of(choices: tuple[str, ...]) -> str:
        return choices[pick(len(choices) - 1)]

    names = tuple(ON_DATA) * 3 + tuple(ON_TEXT) if places(text).keys else tuple(ON_TEXT)
    how, altered = [], text
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        name = one_of(names)
        altered = (ON_DATA.get(name) or ON_TEXT[name])(altered, pick, one_of)
        how.append(name)
    if draw(st.sampled_from((False,) * 6 + (True,))):
        name = one_of(tuple(ON_BYTES))
        return Mutation(" + ".join([*how, name]), ON_BYTES[name](altered, pick))
    return Mutation(" + ".join(how), altered.encode("utf-8", "surrogatepass"))
