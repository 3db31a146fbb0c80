"""Damage that no statement of the shop could do to its books: its databases forbid it, and a damaged page does not.

(invariant, story, SQL, some of its only witness) each, to be done to the right books of `shop_books`.
"""

from __future__ import annotations

from typing import Any

DAMAGED: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "stock-adds-up",
        "a product that nobody ever bought is gone",
        "INSERT INTO opening_stock (sku, pieces) VALUES ('G2', 5)",
        {"sku": "G2", "opened_with": 5, "initial": None, "on_hand": None},
    ),
    (
        "stock-adds-up",
        "a product that was sold is gone",
        "DELETE FROM products",
        {"sku": "G1", "opened_with": 10, "confirmed": 3, "on_hand": None},
    ),
    (
        "stock-adds-up",
        "there is a product that the shop did not open with",
        "INSERT INTO products (sku, initial, restocked, on_hand) VALUES ('G2', 5, 0, 5)",
        {"sku": "G2", "opened_with": None, "initial": 5, "too_many": 0},
    ),
    (
        "stock-adds-up",
        "what there was and what is left were altered alike",
        "UPDATE products SET initial = initial + 5, on_hand = on_hand + 5",
        {"sku": "G1", "opened_with": 10, "initial": 15, "too_many": 0},
    ),
    (
        "stock-adds-up",
        "an order has lost its number in every book and in the diary",
        "".join(
            f"UPDATE {table} SET order_id = NULL WHERE order_id = 'o1';"
            for table in ("intents", "orders", "psp_a", "charges", "holds", "hold_lines", "mail")
        ),
        {"sku": "G1", "confirmed": 2, "on_hand": 9, "too_many": -1},
    ),
    (
        "nothing-booked-twice",
        "a product is there twice",
        "INSERT INTO products FROM products",
        {"what": "product", "name": "G1", "times": 2},
    ),
    (
        "nothing-booked-twice",
        "an accepted order is there twice",
        "INSERT INTO orders FROM orders WHERE order_id = 'o1'",
        {"what": "order", "order_id": "o1", "name": "R-1", "times": 2},
    ),
    (
        "nothing-booked-twice",
        "a declined order is there twice",
        "INSERT INTO orders FROM orders WHERE order_id = 'o4'",
        {"what": "order", "order_id": "o4", "times": 2},
    ),
    (
        "no-double-order",
        "an exact copy of an order",
        "INSERT INTO orders FROM orders WHERE order_id = 'o1'",
        {"reference": "R-1", "idempotency_key": "k1", "times": 2, "order_ids": ["o1", "o1"]},
    ),
    (
        "nothing-booked-twice",
        "a charge is there twice",
        "INSERT INTO charges FROM charges WHERE order_id = 'o4'",
        {"what": "charge", "order_id": "o4", "name": "k4", "times": 2},
    ),
    (
        "nothing-booked-twice",
        "of a charge that was captured there is an earlier row still",
        "INSERT INTO charges SELECT * REPLACE ('pending' AS state) FROM charges WHERE key = 'k1'",
        {"what": "charge", "order_id": "o1", "name": "k1", "times": 2},
    ),
    (
        "nothing-booked-twice",
        "two orders that are right otherwise are paid under one key",
        "UPDATE charges SET key = 'k1' WHERE key = 'k2'",
        {"what": "charge", "order_id": "o1", "name": "k1", "times": 2},
    ),
    (
        "nothing-booked-twice",
        "a hold is there twice",
        "INSERT INTO holds FROM holds WHERE order_id = 'o4'",
        {"what": "hold", "order_id": "o4", "times": 2},
    ),
    (
        "nothing-booked-twice",
        "a line is there in two rows that add up",
        """UPDATE intents SET lines = '[["G1",2]]' WHERE id = 'k1';
           INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G1', 1)""",
        {"what": "line of a hold", "order_id": "o1", "name": "G1", "times": 2},
    ),
    (
        "every-line-takes-pieces",
        "fewer pieces than none are set off against too many",
        """UPDATE hold_lines SET quantity = 2 WHERE order_id = 'o1';
           INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G1', -1)""",
        {"order_id": "o1", "sku": "G1", "quantity": -1},
    ),
    (
        "every-line-takes-pieces",
        "the shopper's diary agrees with a line of fewer pieces than none",
        """UPDATE intents SET lines = '[["G1",2],["G1",-1]]' WHERE id = 'k1';
           UPDATE hold_lines SET quantity = 2 WHERE order_id = 'o1';
           INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G1', -1)""",
        {"order_id": "o1", "sku": "G1", "quantity": -1},
    ),
    (
        "accepted-orders-have-their-stock",
        "what was bought has a line of fewer pieces than none",
        "UPDATE intents SET lines = '[[\"G1\",2],[\"G1\",-1]]' WHERE id = 'k1'",
        {"reference": "R-1", "sku": "G1", "bought": 1, "taken": 1},
    ),
    (
        "every-line-takes-pieces",
        "nobody knows how many pieces a line takes beside one that is right",
        "INSERT INTO hold_lines (order_id, sku) VALUES ('o1', 'G1')",
        {"order_id": "o1", "sku": "G1", "quantity": None},
    ),
    (
        "every-line-takes-pieces",
        "nobody knows how many pieces were held for a declined order",
        "UPDATE hold_lines SET quantity = NULL WHERE order_id = 'o4'",
        {"order_id": "o4", "quantity": None},
    ),
    (
        "payments-agree-with-ledgers",
        "payments believes in two captures that add up to the one that was",
        """UPDATE charges SET amount_cents = 60 WHERE key = 'k1';
           INSERT INTO charges (key, order_id, reference, amount_cents, state, processor)
           VALUES ('x', 'o1', 'R-1', 40, 'captured', 'psp-a')""",
        {"reference": "R-1", "charges": 2, "believed_cents": 100, "ledger_cents": 100},
    ),
    (
        "payments-agree-with-ledgers",
        "payments and the ledger agree on two captures that add up to the total",
        """UPDATE charges SET amount_cents = 60 WHERE key = 'k1';
           UPDATE psp_a SET amount_cents = 60 WHERE order_id = 'o1';
           INSERT INTO charges (key, order_id, reference, amount_cents, state, processor)
           VALUES ('x', 'o1', 'R-1', 40, 'captured', 'psp-a');
           INSERT INTO psp_a (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o1', 'R-1', 40)""",
        {"reference": "R-1", "charges": 2, "believed_cents": 100, "ledger_cents": 100},
    ),
    (
        "no-double-charge",
        "the ledger has one charge as two entries that add up",
        """UPDATE psp_a SET amount_cents = 60 WHERE order_id = 'o1';
           INSERT INTO psp_a (entry, key, order_id, reference, amount_cents)
           VALUES ('charge', 'psp_a-1', 'o1', 'R-1', 40)""",
        {"reference": "R-1", "captures": 2, "charged_cents": 100, "charges": ["psp-a psp_a-1"]},
    ),
]
