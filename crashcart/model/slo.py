"""SLOs, read from OpenSLO v1 files, and the counter selectors they are made of."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Literal

import msgspec

Op = Literal["=", "!=", "=~", "!~"]
_METRIC = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?", re.DOTALL)
_MOST_CHARACTERS = 2_000
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')


PHASE_LABEL = "phase"
"""Set on every series by the load: the phase of the event's intended time."""
COHORT_LABEL = "cohort"
"""Set on every series by the load: `all`, or `dimension:value`."""


class Matcher(msgspec.Struct, frozen=True):
    """One label condition of a selector, as in PromQL."""

    label: str
    op: Op
    value: str

    def accepts(self, value: str) -> bool:
        """Whether a label's value (empty where the label is absent) meets the condition."""
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        found = re.fullmatch(self.value, value) is not None
        return found if self.op == "=~" else not found


class Selector(msgspec.Struct, frozen=True):
    """A plain counter selector: no functions, no windows. Windows hide what the judge wants to see."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        inner = ",".join(f'{m.label}{m.op}"{m.value}"' for m in self.matchers)
        return f"{self.metric}{{{inner}}}" if inner else self.metric

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (without `__name__`) is selected."""
        return all(matcher.accepts(labels.get(matcher.label, "")) for matcher in self.matchers)


def parse_selector(text: str) -> Selector:
    """A counter selector such as `shopper_events_total{sli="browse",outcome=~"ok|declined"}`; ValueError otherwise."""
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"a selector of {len(text)} characters; {_MOST_CHARACTERS} are plenty")
    match = _METRIC.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is not a plain counter selector (a name and labels, no functions)")
    matchers = []
    rest, position = match[2] or "", 0
    while position < len(rest.rstrip()):
        found = _MATCHER.match(rest, position)
        if found is None:
            raise ValueError(f"cannot read the labels at {rest[position:].strip()!r}")
        label, op, value = found.groups()
        if op in ("=~", "!~"):
            _check_pattern(value)
        matchers.append(Matcher(label, op, value))  # type: ignore[arg-type]  # the pattern allows only these four
        position = found.end()
    return Selector(match[1], tuple(matchers))


def _check_pattern(pattern: str) -> None:
    """ValueError for what is no regular expression, or one that is read in two ways."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as problem:
        raise ValueError(f"{pattern!r} is not a regular expression: {problem}") from problem


FAILED_ORDERS = Selector("crashcart_failed_orders")
FAILED_ORDERS_TOLD = Selector("crashcart_failed_orders_told")
"""What SLOs on the books select. Nobody exposes these: they are counted after the run, from diary and books."""


class Slo(msgspec.Struct, frozen=True):
    """Good over valid events, and an objective for all and for each declared cohort."""

    name: str
    title: str
    service: str
    good: Selector
    total: Selector
    objectives: dict[str, float]
    """`all` and declared cohorts such as `network:amex` → objective in (0, 1)."""
    excluded: Selector | None = None
    """Events left out of `total` where the books confirm them (`Truth.exclusions_sql`); others stay, as bad."""
    settled: Selector | None = None
    """Events of `total` whose outcome is known by now, where the total counts some ahead: what the gate divides by."""
    only_failures: bool = False
    """The total counts failures only (honest errors): none at all, measured, meets the objective."""
    told_within_s: float | None = None
    """Counted from the books: of all failed orders, those whose shopper was written to within so long. None: not."""
    file: str = ""
