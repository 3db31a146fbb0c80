"""Several faults in one phase: what can be told apart is planned, what can't is refused with its line."""

from __future__ import annotations

import pytest

from crashcart.model.errors import BadFile
from crashcart.model.plan import Plan
from tests.unit.planning.test_plans import DEMO, plan_text

FAULT = """  - toxiproxy/down: {link: payments.psp-a}
    at: 0s
    for: 20s
"""
LATENCY = "toxiproxy/latency: {link: checkout.inventory, latency: 100ms}"
LATENCY_TO_DB = "toxiproxy/latency: {link: inventory.inventory-db, latency: 50ms}"
NARROW_DB = "toxiproxy/bandwidth: {link: inventory.inventory-db, rate_kb_s: 100}"
DOWN = "toxiproxy/down: {link: checkout.inventory}"
KILL = "service/kill: {service: inventory}"
KILL_DB = "service/kill: {service: inventory-db}"
KILL_CALLER = "service/kill: {service: checkout}"
NOOP = "noop: {link: checkout.inventory}"


def _planned(*faults: tuple[str, int, int]) -> Plan:
    assert FAULT in DEMO
    written = "".join(f"  - {what}\n    at: {at}s\n    for: {lasts}s\n" for what, at, lasts in faults)
    return plan_text(DEMO.replace(FAULT, written))


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (LATENCY, LATENCY, "f2 and f1 act on checkout[0].inventory[0] at the same time"),
        (LATENCY, DOWN, "f2 and f1 act on checkout[0].inventory[0] at the same time"),
        (KILL, KILL, "f2 and f1 act on inventory[0] at the same time"),
        (DOWN, KILL, "while f1 is, the probes of checkout[0].inventory[0] can't show f2"),
        (KILL, DOWN, "while f1 is, inventory[0] does not answer the probes that are to show f2"),
        (LATENCY_TO_DB, KILL_DB, "can't be there at the same time"),
        (NOOP, KILL, "can't be there at the same time"),
        (LATENCY, KILL_CALLER, "while f2 is, checkout[0] makes no calls that could meet f1"),
    ],
)
def test_two_faults_that_would_hide_each_other_are_refused_with_the_line_of_the_later_one(
    one: str, other: str, says: str
) -> None:
    with pytest.raises(BadFile) as refused:
        _planned((one, 0, 10), (other, 5, 10))
    assert says in str(refused.value)
    assert refused.value.line == 17
    assert "let one end before the other begins" in refused.value.remedy


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LATENCY, LATENCY_TO_DB),
        (LATENCY, KILL_DB),
        (LATENCY, NARROW_DB),
        (DOWN, "toxiproxy/down: {link: payments.psp-a}"),
        (KILL, "toxiproxy/flaky: {link: payments.psp-a, share: 0.3}"),
        (LATENCY, "database/lock: {database: orders-db, table: orders}"),
        (LATENCY_TO_DB, "database/lock: {database: inventory-db, table: products}"),
    ],
)
def test_what_can_be_told_apart_may_be_there_at_once(one: str, other: str) -> None:
    assert [fault.id for fault in _planned((one, 0, 20), (other, 2, 18)).faults] == ["f1", "f2"]


@pytest.mark.parametrize("other", [LATENCY, DOWN, KILL])
def test_one_after_the_other_anything_goes(other: str) -> None:
    first, second = _planned((LATENCY, 0, 10), (other, 10, 10)).faults
    assert first.end_s <= second.start_s


def test_what_whole_answers_are_asked_of_must_be_there_undisturbed() -> None:
    lock = "database/connections: {database: inventory-db}"
    with pytest.raises(BadFile, match="does not answer the probes"):
        _planned((NARROW_DB, 0, 10), (lock, 0, 10))


def test_what_is_counted_on_a_links_calls_is_alone_on_that_link() -> None:
    with pytest.raises(BadFile, match="are not those that f1 is counted by"):
        _planned(
            ("provider/fail: {provider: psp-a, share: 0.2}", 0, 10), ("toxiproxy/down: {link: payments.psp-a}", 0, 10)
        )


def test_a_flaky_link_has_its_schedule_in_the_plan_and_one_too_short_is_refused() -> None:
    flaky = "toxiproxy/flaky: {link: payments.psp-a, share: 0.25, slice: 2s}"
    fault = _planned((flaky, 0, 20)).faults[0]
    assert sum(to_s - from_s for from_s, to_s in fault.slices) == 4
    with pytest.raises(BadFile, match="25% of 1 slices of 2 s are 0") as refused:
        _planned((flaky, 0, 3))
    assert refused.value.line == 14
