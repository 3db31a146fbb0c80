"""The page of measured evidence: each kind of fault wherever it can be had, and each figure is the declared one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crashcart.faults import registry
from tests.bench.bounds import HOLDS, by_chance, trouble
from tests.bench.evidence import CONTAINERS_ONLY, PAGE, Row, page

Cells = tuple[str, str, str, str]


def rows() -> list[Cells]:
    """Kind, what was declared, what was measured as processes, and in containers."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            kind, declared, here, there = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((kind.strip("`"), declared, here, there))
    return found


def test_every_kind_is_there_and_no_other() -> None:
    assert {kind for kind, *_ in rows()} == set(registry()) == set(HOLDS)


@pytest.mark.parametrize(("kind", "declared", "here", "there"), rows())
def test_it_was_measured_to_be_what_was_declared_wherever_it_can_be_had(
    kind: str, declared: str, here: str, there: str
) -> None:
    assert trouble(kind, declared, there) == ""
    if kind in CONTAINERS_ONLY:
        assert here == "—"
    else:
        assert trouble(kind, declared, here) == ""


GONE = "0 of 28 probes answered, outside 212 of 212"
SEEN = "seen in 18 of 18 looks, outside in 0 of 60"
WRONG = [
    ("toxiproxy/down", "a.b is down", GONE, "**not shown**: only 0 % of the probes during the fault showed it"),
    ("toxiproxy/down", "a.b is down", GONE, "not measured"),
    ("toxiproxy/down", "a.b is down", GONE, "1 of 28 probes answered, outside 212 of 212"),
    ("toxiproxy/down", "a.b is down", GONE, "0 of 28 probes answered, outside 20 of 212"),
    ("service/kill", "b is killed", GONE, "0 of 0 probes answered, outside 212 of 212"),
    ("toxiproxy/flaky", "a.b is down 40% of the time", f"{GONE}; on for 38 % of the time", f"{GONE}; on for 20 %"),
    ("database/sql", "SQL is done", SEEN, "seen in 9 of 18 looks, outside in 0 of 60"),
    ("database/lock", "it is locked", SEEN, "seen in 18 of 18 looks, outside in 9 of 60"),
    ("disk/full", "it is full", f"{SEEN}; median 0, outside 16,340", f"{SEEN}; median 16,340, outside 16,340"),
    ("database/corrupt-page", "page 0", f"{SEEN}; median 9, outside 0", f"{SEEN}; median 0, outside 0"),
    ("service/memory-limit", "8 MiB", f"{SEEN}; median 1, outside 0", f"{SEEN}; median 1, outside 1"),
    (
        "service/cpu-hog",
        "b does not run for 60 % of the time",
        f"{SEEN}; median 0.612, outside 0",
        f"{SEEN}; median 0.312, outside 0",
    ),
    (
        "service/cpu-limit",
        "b may use 0.01 of a processor",
        f"{SEEN}; median 0.01, outside 0.03",
        f"{SEEN}; median 0.02, outside 0.03",
    ),
    (
        "network/loss",
        "20 % of the packets to b get lost",
        f"{SEEN}; 205 of 1,012 counted; median 0.209, outside 0",
        f"{SEEN}; 105 of 1,012 counted; median 0.109, outside 0",
    ),
    (
        "http/admin",
        "b refuses 50 % of orders",
        "54.34 % (50 of 92) of x during the fault were y, 0 % (0 of 233) outside it",
        "25 % (23 of 92) of x during the fault were y, 0 % (0 of 233) outside it",
    ),
    (
        "toxiproxy/latency",
        "a.b answers 150ms late",
        "151.0 ms later, outside 0.4 ms (27 probes)",
        "166.0 ms later, outside 0.4 ms (27 probes)",
    ),
    (
        "toxiproxy/latency",
        "a.b answers 10ms late",
        "11.9 ms later, outside 0.4 ms (27 probes)",
        "12.1 ms later, outside 0.4 ms (27 probes)",
    ),
    (
        "toxiproxy/latency",
        "a.b answers 60ms ± 20ms late",
        "66.6 ms later, outside 0.4 ms (27 probes)",
        "76.6 ms later, outside 0.4 ms (27 probes)",
    ),
    (
        "toxiproxy/bandwidth",
        "a.b answers at 400 KB/s",
        "374.7 KB/s, outside 6,745 KB/s (13 answers)",
        "354.7 KB/s, outside 6,745 KB/s (13 answers)",
    ),
    (
        "toxiproxy/slicer",
        "a.b answers in pieces of 256 ± 32 bytes, 5ms apart",
        "33.9 KB/s, outside 8,022 KB/s (13 answers)",
        "73.9 KB/s, outside 8,022 KB/s (13 answers)",
    ),
    (
        "toxiproxy/limit-data",
        "a.b breaks off after 20000 bytes",
        "20000 bytes of 32778 at most (14 answers)",
        "20001 bytes of 32778 at most (14 answers)",
    ),
    (
        "noop",
        "nothing is done to a.b",
        "no probe more than 8.9 ms off its twin (28 probes)",
        "no probe more than 108.9 ms off its twin (28 probes)",
    ),
]


@pytest.mark.parametrize(("kind", "declared", "right", "wrong"), WRONG)
def test_a_figure_that_is_not_the_declared_one_is_told(kind: str, declared: str, right: str, wrong: str) -> None:
    assert trouble(kind, declared, right) == ""
    assert trouble(kind, declared, wrong) != ""


def test_the_median_of_few_delays_that_vary_may_be_far_off_and_that_of_many_may_not() -> None:
    low, high = by_chance(60, 20, 27)
    assert 40 < low < 50
    assert low + high == pytest.approx(120)
    low, high = by_chance(60, 20, 2_701)
    assert 58 < low < 59
    assert by_chance(60, 20, 1) == pytest.approx((40.02, 79.98))


def test_a_page_says_what_was_not_measured_and_what_was_not_shown() -> None:
    shown = Row("toxiproxy/down", "payments.psp-a is down", "0 of 20 probes answered", ok=True)
    hidden = Row("toxiproxy/down", "payments.psp-a is down", "**not shown**: nothing watched it", ok=False)
    key = ("toxiproxy/down", "payments.psp-a is down")
    when = datetime(2026, 3, 1, tzinfo=UTC)
    both = page({key: {"local": shown, "docker": hidden}}, when)
    assert "| 0 of 20 probes answered | **not shown**: nothing watched it |" in both
    assert "1 March 2026" in both
    assert "| 0 of 20 probes answered | not measured |" in page({key: {"local": shown}}, when)
