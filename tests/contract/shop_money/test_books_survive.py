"""Whatever breaks on the money path, once it is mended the books are right: no order lost, nobody charged twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.shop_money.books import violations, wait_settled
from tests.contract.shop_money.rig import LINKS
from tests.contract.shop_money.shoppers import Trickle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.shop_money.rig import Rig

ALL_LINKS = [f"{client}.{dependency}" for client, dependencies in LINKS.items() for dependency in dependencies]
PER_S = 25


def storm(rig: Rig, seed: int, faults: list[Callable[[], None]], mend: Callable[[], None]) -> None:
    """Shoppers throughout; each fault lasts until some of them have met it."""
    wait_settled(rig)
    trickle = Trickle(rig, seed, PER_S).start()
    try:
        trickle.until_answered(8)
        for fault in faults:
            fault()
            trickle.until_answered(12)
            mend()
        trickle.until_answered(8)
    finally:
        purchases = trickle.stop()
    wait_settled(rig)
    assert violations(rig, purchases) == []
    assert any(purchase.told_yes for purchase in purchases)


@pytest.mark.slow
@pytest.mark.parametrize("link", ALL_LINKS)
def test_the_books_are_right_after_a_link_was_cut_hung_and_reset(rig: Rig, link: str) -> None:
    faults = [lambda: rig.cut(link), lambda: rig.hang(link), lambda: rig.reset(link), lambda: rig.slow(link, 1200)]
    storm(rig, 100 + ALL_LINKS.index(link), faults, lambda: rig.mend(link))


@pytest.mark.slow
@pytest.mark.parametrize("service", ["checkout", "payments", "psp-a", "psp-b", "mail"])
def test_the_books_are_right_after_a_service_was_killed_mid_order(rig: Rig, service: str) -> None:
    # slow links keep orders under way, so that the kill finds some at every step
    slowed = ["checkout.inventory", "checkout.payments", "payments.psp-a", "payments.psp-b", "checkout.orders-db"]
    for link in slowed:
        rig.slow(link, 120)
    storm(rig, 200, [lambda: rig.kill_and_restart(service)] * 3, lambda: None)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["orders-db", "payments-db"])
def test_the_books_are_right_after_a_database_server_was_killed(rig: Rig, database: str) -> None:
    def kill() -> None:
        rig.databases[database].kill()
        rig.databases[database].start()

    rig.slow(f"{'checkout' if database == 'orders-db' else 'payments'}.{database}", 60)
    storm(rig, 300, [kill, kill], lambda: None)


@pytest.mark.slow
def test_the_books_are_right_when_processors_fail_after_they_have_charged(rig: Rig) -> None:
    def misbehave(**behaviour: object) -> Callable[[], None]:
        def both() -> None:
            rig.behave("psp-a", **behaviour)
            rig.behave("psp-b", **behaviour)

        return both

    faults = [
        misbehave(fail_share=0.5, answer="after"),
        misbehave(fail_share=0.5, answer="before"),
        misbehave(delay_ms=1300, delay_share=0.5, answer="after"),
        misbehave(delay_ms=1300, delay_share=0.5, answer="before"),
        misbehave(decline_share=0.3, networks=["visa"]),
    ]
    storm(rig, 400, faults, misbehave())
