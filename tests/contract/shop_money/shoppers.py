"""Shoppers at checkout's door: seeded orders, double-clicks, retries with the same key, and what each was told."""

from __future__ import annotations

import http.client
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.contract.shop_money.rig import Rig
from tests.contract.shop_money.servers import call, until

_DEADLINE_MS = 5000
_DEFINITE_NO = {402, 409, 503}


@dataclass
class Purchase:
    """One shopper's wish, and the answers to all its tries: (status, problem type or state, document)."""

    key: str
    network: str
    sku: str
    total_cents: int
    double_click: bool
    tries: int
    answers: list[tuple[int, str, Any]] = field(default_factory=list)

    @property
    def told_yes(self) -> list[Any]:
        return [document for status, _, document in self.answers if status == 201]

    @property
    def told_no_for_sure(self) -> bool:
        """Every answer was a definite no: nothing can have been ordered."""
        return all(status in _DEFINITE_NO for status, _, _ in self.answers) and bool(self.answers)

    def body(self) -> dict[str, Any]:
        return {
            "lines": [{"sku": self.sku, "quantity": 1, "price_cents": self.total_cents}],
            "total_cents": self.total_cents,
            "card": {"network": self.network, "token": f"tok_{self.key}"},
            "email": f"{self.key}@shopper.example",
        }


def ask_once(rig: Rig, purchase: Purchase) -> tuple[int, str]:
    """One try; status 0 where there was no answer."""
    headers = {"Idempotency-Key": purchase.key, "X-Deadline-Ms": str(_DEADLINE_MS)}
    try:
        status, document = call(rig.port("checkout"), "POST", "/orders", purchase.body(), headers, timeout_s=7)
    except (OSError, http.client.HTTPException) as error:
        status, document = 0, repr(error)
    kind = document.get("type") or document.get("state") if isinstance(document, dict) else "none"
    purchase.answers.append((status, str(kind), document))
    return status, str(kind)


class Trickle:
    """Orders at about `per_s` a second until stopped; each shopper is a thread of its own."""

    def __init__(self, rig: Rig, seed: int, per_s: float, tries: int = 4) -> None:
        self._rig = rig
        self._random = random.Random(seed)
        self._seed = seed
        self._per_s = per_s
        self._tries = tries
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.purchases: list[Purchase] = []
        self._pacer = threading.Thread(target=self._pace)

    def start(self) -> Trickle:
        self._pacer.start()
        return self

    def _pace(self) -> None:
        while not self._stop.wait(self._random.expovariate(self._per_s)):
            self.buy()

    def buy(self) -> Purchase:
        draw = self._random
        purchase = Purchase(
            key=f"s{self._seed}-{len(self.purchases)}",
            network=draw.choices(["visa", "mastercard", "amex"], [70, 25, 5])[0],
            sku="SOLD-OUT" if draw.random() < 0.04 else "G00001",
            total_cents=draw.randrange(100, 20_000),
            double_click=draw.random() < 0.2,
            tries=draw.randrange(1, self._tries + 1),
        )
        self.purchases.append(purchase)
        pauses = [draw.uniform(0.2, 1.5) for _ in range(purchase.tries)]
        thread = threading.Thread(target=self._shop, args=(purchase, pauses))
        self._threads.append(thread)
        thread.start()
        return purchase

    def _shop(self, purchase: Purchase, pauses: list[float]) -> None:
        for pause_s in pauses:
            second = threading.Thread(target=ask_once, args=(self._rig, purchase)) if purchase.double_click else None
            if second is not None:
                second.start()
            status, _ = ask_once(self._rig, purchase)
            if second is not None:
                second.join()
            if status in (201, 402, 409, 422):
                return
            time.sleep(pause_s)

    def until_answered(self, more: int, within_s: float = 60.0) -> None:
        """Until so many more answers (or failures to answer) than now have come."""
        wanted = self.answered() + more
        until(f"{more} more answers", lambda: self.answered() >= wanted, within_s)

    def answered(self) -> int:
        return sum(len(purchase.answers) for purchase in list(self.purchases))

    def stop(self) -> list[Purchase]:
        """No more shoppers come; waits for those there are."""
        self._stop.set()
        self._pacer.join()
        for thread in self._threads:
            thread.join()
        return self.purchases
