"""What /metrics of checkout says of orders that have not come to their end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.contract.shop_money.books import wait_settled
from tests.contract.shop_money.servers import call, until
from tests.contract.shop_money.test_orders import place, purchase

if TYPE_CHECKING:
    from tests.contract.shop_money.rig import Rig


def told(rig: Rig, name: str) -> dict[str, float]:
    text = call(rig.port("checkout"), "GET", "/metrics")[1].decode()
    return {labels: float(value) for labels, value in re.findall(rf"^{name}(\{{.*\}})? (\S+)$", text, re.MULTILINE)}


def test_an_order_that_waits_is_counted_by_its_state_and_grows_old_and_is_gone_when_it_has_ended(rig: Rig) -> None:
    wait_settled(rig)
    until("nothing is open", lambda: sum(told(rig, "orders_unfinished").values()) == 0)
    rig.cut("checkout.payments")
    assert place(rig, purchase("waits-and-grows-old"))[0] == 503
    until("it is counted", lambda: sum(told(rig, "orders_unfinished").values()) == 1)
    first = told(rig, "orders_oldest_unfinished_seconds")[""]
    until("it grows older", lambda: told(rig, "orders_oldest_unfinished_seconds")[""] > first)
    rig.mend("checkout.payments")
    wait_settled(rig)
    until("it is counted no more", lambda: sum(told(rig, "orders_unfinished").values()) == 0)
    assert told(rig, "orders_oldest_unfinished_seconds")[""] == 0.0
