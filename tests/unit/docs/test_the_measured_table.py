"""The page of measured evidence has figures of every kind of fault, on both runtimes where it can be had on both."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crashcart.faults import registry
from tests.bench.evidence import CONTAINERS_ONLY, PAGE, Row, page


def cells() -> dict[str, list[tuple[str, str]]]:
    """Kind → what was measured as processes and in containers, of each of its faults."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            kind, _, here, there = (cell.strip() for cell in line.strip("|").split("|"))
            found.setdefault(kind.strip("`"), []).append((here, there))
    return found


def test_every_kind_is_there_and_no_other() -> None:
    assert set(cells()) == set(registry())


@pytest.mark.parametrize("kind", sorted(registry()))
def test_it_was_measured_wherever_it_can_be_had(kind: str) -> None:
    for here, there in cells()[kind]:
        assert any(letter.isdigit() for letter in there)
        assert here == "—" if kind in CONTAINERS_ONLY else any(letter.isdigit() for letter in here)


def test_a_page_says_what_was_not_measured_and_what_was_not_shown() -> None:
    shown = Row("toxiproxy/down", "payments.psp-a is down", "0 of 20 probes answered", ok=True)
    hidden = Row("toxiproxy/down", "payments.psp-a is down", "**not shown**: nothing watched it", ok=False)
    key = ("toxiproxy/down", "payments.psp-a is down")
    when = datetime(2026, 3, 1, tzinfo=UTC)
    both = page({key: {"local": shown, "docker": hidden}}, when)
    assert "| 0 of 20 probes answered | **not shown**: nothing watched it |" in both
    assert "1 March 2026" in both
    assert "| 0 of 20 probes answered | not measured |" in page({key: {"local": shown}}, when)
