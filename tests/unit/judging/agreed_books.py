"""Books that agree with each other on what is wrong: a price, a card, an address, a reference.

(invariant, story, SQL, some of its only witness) each, to be done to the right books of `shop_books`.
"""

from __future__ import annotations

from typing import Any

AGREED: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "an-order-costs-what-its-lines-cost",
        "the shopper agreed to ten times the price and paid it",
        """UPDATE intents SET total_cents = 1000 WHERE id = 'k1';
           UPDATE orders SET total_cents = 1000 WHERE order_id = 'o1';
           UPDATE charges SET amount_cents = 1000 WHERE order_id = 'o1';
           UPDATE psp_a SET amount_cents = 1000 WHERE order_id = 'o1'""",
        {"reference": "R-1", "idempotency_key": "k1", "paid_cents": 1000, "costs_cents": 100},
    ),
    (
        "an-order-costs-what-its-lines-cost",
        "two pieces for the price of one",
        """UPDATE intents SET lines = '[["G1",2]]' WHERE id = 'k1';
           UPDATE hold_lines SET quantity = 2 WHERE order_id = 'o1'""",
        {"order_id": "o1", "paid_cents": 100, "costs_cents": 200},
    ),
    (
        "an-order-costs-what-its-lines-cost",
        "something that no price is known of was sold",
        """UPDATE intents SET lines = '[["G2",1]]' WHERE id = 'k1';
           UPDATE hold_lines SET sku = 'G2' WHERE order_id = 'o1'""",
        {"order_id": "o1", "paid_cents": 100, "costs_cents": None},
    ),
    (
        "the-card-charged-is-the-shoppers",
        "another shopper's card was charged",
        "UPDATE psp_a SET card = other.card FROM psp_a AS other WHERE psp_a.order_id = 'o1' AND other.order_id = 'o2'",
        {"reference": "R-1", "processor": "psp-a", "gave_network": "visa", "charged_network": "visa"},
    ),
    (
        "the-card-charged-is-the-shoppers",
        "nobody knows which card was charged",
        "UPDATE psp_b SET card = NULL WHERE entry = 'charge'",
        {"order_id": "o3", "charged_card": None},
    ),
    (
        "the-card-charged-is-the-shoppers",
        "payments and the processor agree on another network",
        """UPDATE charges SET network = 'amex' WHERE order_id = 'o1';
           UPDATE psp_a SET network = 'amex' WHERE order_id = 'o1'""",
        {"order_id": "o1", "gave_network": "visa", "charged_network": "amex"},
    ),
    (
        "mail-goes-to-who-ordered",
        "a stranger reads the confirmation",
        """UPDATE mail SET "to" = 'shopper-2@mail.example' WHERE order_id = 'o1'""",
        {"template": "order-confirmation", "ordered": "shopper-1@mail.example", "written_to": "shopper-2@mail.example"},
    ),
    (
        "mail-goes-to-who-ordered",
        "a stranger reads the bad news",
        """INSERT INTO mail ("to", order_id, reference, template)
           VALUES ('shopper-1@mail.example', 'o4', 'R-4', 'order-failed')""",
        {"order_id": "o4", "ordered": "shopper-4@mail.example", "written_to": "shopper-1@mail.example"},
    ),
    (
        "references-lead-to-the-order",
        "the shopper was given another reference",
        "UPDATE intents SET reference = 'R-9' WHERE id = 'k1'",
        {"reference": "R-9", "order_id": "o1", "place": "told to the shopper", "booked": "R-1"},
    ),
    (
        "references-lead-to-the-order",
        "the charge is booked under another reference",
        "UPDATE charges SET reference = 'R-9' WHERE order_id = 'o1'",
        {"order_id": "o1", "place": "payments", "booked": "R-1"},
    ),
    (
        "references-lead-to-the-order",
        "the processor was given another reference",
        "UPDATE psp_b SET reference = 'R-9' WHERE entry = 'charge'",
        {"order_id": "o3", "place": "psp-b", "booked": "R-3"},
    ),
    (
        "references-lead-to-the-order",
        "the mail names another reference",
        "UPDATE mail SET reference = 'R-2' WHERE order_id = 'o1'",
        {"reference": "R-2", "order_id": "o1", "place": "mail", "booked": "R-1"},
    ),
    (
        "references-lead-to-the-order",
        "two whose order failed were given the same reference",
        """INSERT INTO intents (id, outcome, status, sent_s, reference)
           SELECT 'k' || n, 'failed', 500, 5.0, 'R-0' FROM range(8, 10) AS numbers(n)""",
        {"reference": "R-0", "place": "told to 2 shoppers"},
    ),
    (
        "a-double-click-is-one-order",
        "the second click was told that the accepted order had failed",
        "UPDATE intents SET double_click = CASE id WHEN 'k1' THEN 'contradicted' WHEN 'k2' THEN 'one-answer' END",
        {"reference": "R-1", "second_click": "contradicted"},
    ),
]
