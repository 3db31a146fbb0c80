"""What happened in made-up runs."""

from __future__ import annotations

from dataclasses import dataclass

from crashcart.model.verdict import Outcome

HOSTILE = '"><script>alert(1)</script>\x1b[31m\u202egnp.\x00'
"""What a shop under test may put in any text of its own."""

COHORTS = {
    "business_line": {"general": 0.9, "photo": 0.1},
    "region": {"north": 0.5, "south": 0.3, "west": 0.2},
    "network": {"visa": 0.70, "mastercard": 0.25, "amex": 0.05},
    "device": {"desktop": 0.35, "mobile": 0.65},
}
LAWS = {
    "no-double-charge": ("Nobody is charged twice", "Captured for one order is one charge at most."),
    "no-accepted-order-lost": ("No accepted order is lost", "Who was told thank you has an order in the books."),
    "captured-equals-total": ("What was captured is what the order costs", "Paid in full: no less, no more."),
    "stock-adds-up": ("The stock adds up", "initial + restocked − confirmed − held = on hand."),
    "accepted-orders-told-once": ("Each accepted order is confirmed by mail, once", "Who bought hears of it."),
    "no-order-left-unfinished": ("No order is left unfinished", "Every order reaches an end."),
}


@dataclass(frozen=True)
class Story:
    """What happened in a made-up run."""

    name: str
    outcome: Outcome
    lost_in_fault: float = 0.04
    """Share of visa purchases lost while the fault acts."""
    amex_lost: float = 0.0
    """Share of amex purchases lost from the fault to the end."""
    all_lost: float = 0.0
    """Share of everybody's purchases lost while the fault acts."""
    fault_acts: bool = True
    hostile: str = ""
    """Text from the shop that turns up wherever the shop's text does."""
    stretch: float = 1.0
    """Phases are this much longer than 10, 20, 20 and 30 s."""
    per_s: float = 40.0


PASS = Story("card-processor-outage-at-peak", Outcome.PASS)
FAIL = Story("card-processor-outage-at-peak", Outcome.FAIL, lost_in_fault=0.22, amex_lost=0.9)
INCONCLUSIVE = Story("slow-inventory-db", Outcome.INCONCLUSIVE, lost_in_fault=0.0, fault_acts=False)
