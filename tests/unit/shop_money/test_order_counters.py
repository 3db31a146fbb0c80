"""What checkout says of orders that are open."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from stack.checkout import counters
from stack.checkout.counters import Unfinished, unfinished
from stack.checkout.orders import UNFINISHED
from stack.kit.metrics import REGISTRY


def value(name: str, labels: Mapping[str, str] | None = None) -> float:
    told = REGISTRY.get_sample_value(name, dict(labels or {}))
    assert told is not None, f"{name} {labels} is not exposed"
    return told


def by_state() -> dict[str, float]:
    return {state: value("orders_unfinished", {"state": state}) for state in UNFINISHED}


def test_a_state_that_no_order_is_in_any_more_goes_back_to_zero() -> None:
    unfinished([Unfinished("held", 3, 1.5), Unfinished("payment_unknown", 1, 40.0)])
    assert by_state() == {"placed": 0, "held": 3, "payment_unknown": 1, "cancelling": 0}
    unfinished([Unfinished("held", 2, 0.5)])
    assert by_state() == {"placed": 0, "held": 2, "payment_unknown": 0, "cancelling": 0}


def test_the_oldest_grows_older_while_the_books_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(counters, "monotonic", lambda: now[0])
    unfinished([Unfinished("held", 3, 1.5), Unfinished("payment_unknown", 1, 40.0)])
    assert value("orders_oldest_unfinished_seconds") == 40.0
    now[0] += 12.0
    assert value("orders_oldest_unfinished_seconds") == 52.0
    unfinished([])
    assert value("orders_oldest_unfinished_seconds") == 0.0
    assert sum(by_state().values()) == 0
