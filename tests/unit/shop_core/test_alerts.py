"""The shop's own alerts fire where a pager would have gone, and nowhere else."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from stack.kit.metrics import REGISTRY
from stack.storefront.alerts import Alerts, BurnRate, Counts


class Shop:
    """Counters that grow by so many a second, seen twice a second."""

    def __init__(self, objective: float = 0.99) -> None:
        self.now_s = 0.0
        self._all = self._bad = 0.0
        self._objective = objective
        self._rate = BurnRate(lambda: self.now_s)

    def runs(self, seconds: float, *, per_s: float, bad_share: float) -> list[bool]:
        seen = []
        for _ in range(round(seconds * 2)):
            self.now_s += 0.5
            self._all += per_s / 2
            self._bad += per_s / 2 * bad_share
            seen.append(self._rate.firing(Counts(int(self._all), int(self._bad), self._objective)))
        return seen


@pytest.mark.parametrize("per_s", [4, 40, 400])
def test_all_failing_fires_within_seconds_and_ends_within_seconds_of_its_cause(per_s: float) -> None:
    shop = Shop()
    assert not any(shop.runs(30, per_s=per_s, bad_share=0))
    failing = shop.runs(20, per_s=per_s, bad_share=1)
    assert failing.index(True) <= 6
    assert all(failing[failing.index(True) :])
    healed = shop.runs(20, per_s=per_s, bad_share=0)
    assert healed.index(False) <= 5
    assert not any(healed[healed.index(False) :])


def test_a_failing_share_below_the_burn_rate_pages_nobody() -> None:
    shop = Shop()
    assert not any(shop.runs(60, per_s=40, bad_share=0.12))
    assert any(shop.runs(20, per_s=40, bad_share=0.20))


def test_one_bad_second_pages_nobody() -> None:
    shop = Shop()
    shop.runs(20, per_s=40, bad_share=0)
    assert not any(shop.runs(1, per_s=40, bad_share=1))
    assert not any(shop.runs(20, per_s=40, bad_share=0))


def test_a_looser_objective_takes_more_to_fire() -> None:
    shop = Shop(objective=0.95)
    assert not any(shop.runs(30, per_s=40, bad_share=0.6))
    assert any(shop.runs(20, per_s=40, bad_share=0.9))


def test_four_failures_in_a_quiet_night_wake_nobody() -> None:
    assert not any(Shop().runs(9, per_s=0.44, bad_share=1))


def test_every_alert_is_there_at_0_from_the_start() -> None:
    counts = {"something-failing": Counts(0, 0)}
    alerts = Alerts(lambda: counts)
    assert alerts.firing == ()
    assert b'alert_firing{alert="something-failing"} 0.0' in generate_latest(REGISTRY)
    counts["a-line-of-its-own"] = Counts(0, 0)
    alerts.look()
    assert b'alert_firing{alert="a-line-of-its-own"} 0.0' in generate_latest(REGISTRY)
