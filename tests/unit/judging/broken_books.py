"""What a shop with a defect leaves in its books, invariant by invariant.

(invariant, story, SQL, some of its only witness) each, to be done to the right books of `shop_books`.
"""

from __future__ import annotations

from typing import Any

TROUBLE = """
    INSERT INTO intents (id, outcome, status, problem, sent_s, done_s)
    SELECT 't' || n, 'failed', 503, 'checkout-unavailable', 12.0, 14.5 FROM range(40) AS numbers(n)
"""
BROKEN: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "no-false-bad-news",
        "a good order was said to have failed",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('f1', 'o1', 'R-1', 'order-failed')",
        {"reference": "R-1", "state": "accepted"},
    ),
    (
        "no-false-bad-news",
        "bad news came twice",
        "INSERT INTO mail (order_id, reference, template) SELECT 'o4', 'R-4', 'order-failed' FROM range(2)",
        {"reference": "R-4", "mails": 2},
    ),
    (
        "a-double-click-is-one-order",
        "the second click was told of another order than the first, and of one that is in no book",
        "UPDATE intents SET double_click = CASE id WHEN 'k1' THEN 'different' WHEN 'k2' THEN 'same' END",
        {"reference": "R-1", "idempotency_key": "k1", "told": "ok", "first_order": "o1"},
    ),
    ("no-accepted-order-lost", "an order is gone", "DELETE FROM orders WHERE order_id = 'o1'", {"reference": "R-1"}),
    (
        "no-accepted-order-lost",
        "an accepted order was failed",
        "UPDATE orders SET state = 'failed' WHERE order_id = 'o1'",
        {"reference": "R-1", "state": "failed"},
    ),
    (
        "no-accepted-order-lost",
        "another total was booked",
        "UPDATE orders SET total_cents = 99 WHERE order_id = 'o1'",
        {"told_cents": 100, "booked_cents": 99},
    ),
    (
        "no-accepted-order-lost",
        "the shopper was told another order's number",
        "UPDATE intents SET order_id = 'o9' WHERE id = 'k1'",
        {"told_order": "o9", "booked_order": "o1"},
    ),
    (
        "no-order-nobody-asked-for",
        "an order without an intent",
        "DELETE FROM intents WHERE id = 'k2'",
        {"reference": "R-2"},
    ),
    (
        "no-order-nobody-asked-for",
        "an order that was never sent",
        "UPDATE intents SET sent_s = NULL WHERE id = 'k2'",
        {"reference": "R-2"},
    ),
    (
        "no-order-nobody-asked-for",
        "an order of which its shopper never heard, for another sum than was sent",
        "UPDATE intents SET outcome = 'unknown', order_id = NULL, total_cents = 99 WHERE id = 'k1'",
        {"reference": "R-1", "asked_cents": 99, "booked_cents": 100},
    ),
    (
        "no-order-nobody-asked-for",
        "an order on another card than was sent",
        "UPDATE intents SET network = 'amex' WHERE id = 'k1'",
        {"reference": "R-1", "asked_network": "amex", "booked_network": "visa"},
    ),
    (
        "no-double-order",
        "one key, two orders",
        "INSERT INTO orders (order_id, idempotency_key, state) VALUES ('o9', 'k1', 'accepted')",
        {"idempotency_key": "k1", "times": 2, "order_ids": ["o1", "o9"]},
    ),
    (
        "no-double-charge",
        "two processors captured one order",
        "INSERT INTO psp_b (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o1', 'R-1', 100)",
        {"reference": "R-1", "captures": 2, "charged_cents": 200, "charges": ["psp-a psp_a-1", "psp-b x"]},
    ),
    (
        "no-double-charge",
        "one processor captured one order twice",
        "INSERT INTO psp_a (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o1', 'R-1', 100)",
        {"captures": 2},
    ),
    (
        "no-charge-without-order",
        "a declined order was charged",
        "INSERT INTO psp_b (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o4', 'R-4', 100)",
        {"reference": "R-4", "charged_cents": 100, "state": "rejected_declined"},
    ),
    (
        "no-charge-without-order",
        "an order that does not exist was charged",
        "INSERT INTO psp_b (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o9', 'R-9', 100)",
        {"reference": "R-9", "state": None},
    ),
    (
        "captured-equals-total",
        "an accepted order was never charged",
        "DELETE FROM psp_a WHERE order_id = 'o1'",
        {"reference": "R-1", "total_cents": 100, "captured_cents": 0},
    ),
    (
        "captured-equals-total",
        "an accepted order was charged too little",
        "UPDATE psp_a SET amount_cents = 60 WHERE order_id = 'o1'",
        {"captured_cents": 60},
    ),
    (
        "captured-equals-total",
        "an accepted order was refunded",
        "INSERT INTO psp_a (entry, key, order_id, amount_cents) VALUES ('refund', 'psp_a-1', 'o1', 100)",
        {"captured_cents": 0},
    ),
    (
        "payments-agree-with-ledgers",
        "payments forgot a capture",
        "UPDATE charges SET state = 'not_charged' WHERE key = 'k1'",
        {"reference": "R-1", "processor": "psp-a", "believed_cents": 0, "ledger_cents": 100},
    ),
    (
        "payments-agree-with-ledgers",
        "payments believes in a capture that never was",
        "DELETE FROM psp_a WHERE order_id = 'o2'",
        {"order_id": "o2", "believed_cents": 100, "ledger_cents": 0},
    ),
    (
        "stock-adds-up",
        "stock was clamped",
        "UPDATE products SET on_hand = 10 WHERE sku = 'G1'",
        {"sku": "G1", "on_hand": 10, "too_many": 1},
    ),
    (
        "stock-adds-up",
        "a hold's lines are gone",
        "DELETE FROM hold_lines WHERE order_id = 'o1'",
        {"too_many": -1},
    ),
    (
        "stock-adds-up",
        "what was sold is no product",
        "INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G9', 2)",
        {"sku": "G9", "confirmed": 2, "on_hand": None},
    ),
    (
        "accepted-orders-have-their-stock",
        "an accepted order's hold expired",
        "UPDATE holds SET state = 'expired' WHERE order_id = 'o1'",
        {"reference": "R-1", "hold_state": "expired"},
    ),
    (
        "accepted-orders-have-their-stock",
        "an accepted order has no hold",
        "DELETE FROM holds WHERE order_id = 'o1'",
        {"hold_state": None},
    ),
    (
        "accepted-orders-have-their-stock",
        "less was taken than was bought",
        "UPDATE intents SET lines = '[[\"G1\",3]]' WHERE id = 'k1'",
        {"reference": "R-1", "sku": "G1", "bought": 3, "taken": 1},
    ),
    (
        "accepted-orders-have-their-stock",
        "nothing was taken of one line of the order",
        "UPDATE intents SET lines = '[[\"G1\",1],[\"G2\",1]]' WHERE id = 'k1'",
        {"reference": "R-1", "sku": "G2", "bought": 1, "taken": None},
    ),
    (
        "accepted-orders-have-their-stock",
        "something was taken that was not bought",
        "INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G2', 1)",
        {"reference": "R-1", "sku": "G2", "bought": None, "taken": 1},
    ),
    (
        "accepted-orders-have-their-stock",
        "stock was taken for a declined order",
        "UPDATE holds SET state = 'confirmed' WHERE order_id = 'o4'",
        {"reference": "R-4", "order_state": "rejected_declined"},
    ),
    (
        "no-order-left-unfinished",
        "an order hangs",
        "UPDATE orders SET state = 'payment_unknown' WHERE order_id = 'o4'",
        {"reference": "R-4", "state": "payment_unknown"},
    ),
    ("accepted-orders-told-once", "no mail was sent", "DELETE FROM mail WHERE order_id = 'o1'", {"mails": 0}),
    (
        "accepted-orders-told-once",
        "two mails were sent",
        "INSERT INTO mail (key, order_id, template) VALUES ('m9', 'o1', 'order-confirmation')",
        {"reference": "R-1", "mails": 2},
    ),
    (
        "no-mail-without-order",
        "a declined order was confirmed by mail",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('m4', 'o4', 'R-4', 'order-confirmation')",
        {"reference": "R-4", "state": "rejected_declined"},
    ),
    (
        "no-mail-without-order",
        "mail for an order that does not exist",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('m9', 'o9', 'R-9', 'order-confirmation')",
        {"reference": "R-9", "state": None},
    ),
    (
        "a-no-is-a-no",
        "an order that definitely failed was accepted",
        "UPDATE intents SET outcome = 'failed' WHERE id = 'k1'",
        {"reference": "R-1", "told": "failed", "state": "accepted"},
    ),
    (
        "a-no-is-a-no",
        "a declined order was accepted",
        "UPDATE orders SET state = 'accepted' WHERE order_id = 'o4'",
        {"reference": "R-4", "told": "declined"},
    ),
    (
        "no-false-bad-news",
        "a good order was said to have been cancelled",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('f1', 'o1', 'R-1', 'order-cancelled')",
        {"reference": "R-1", "state": "accepted"},
    ),
    (
        "no-double-charge",
        "of a second charge only a part was handed back",
        """INSERT INTO psp_b (entry, key, order_id, amount_cents)
           VALUES ('charge', 'x', 'o1', 100), ('refund', 'x', 'o1', 1)""",
        {"captures": 2, "charged_cents": 199},
    ),
    (
        "no-charge-without-order",
        "a charge for no order is set off against a refund for none",
        "INSERT INTO psp_b (entry, key, amount_cents) VALUES ('charge', 'x', 100), ('refund', 'y', 100)",
        {"order_id": None, "charged_cents": 100},
    ),
    (
        "no-charge-without-order",
        "a declined order was charged nobody knows how much",
        "INSERT INTO psp_b (entry, key, order_id, reference) VALUES ('charge', 'x', 'o4', 'R-4')",
        {"reference": "R-4", "state": "rejected_declined"},
    ),
    (
        "payments-agree-with-ledgers",
        "payments believes in a capture of nobody knows how much",
        "INSERT INTO charges (key, order_id, state, processor) VALUES ('x', 'o4', 'captured', 'psp-b')",
        {"order_id": "o4", "believed_cents": None},
    ),
    (
        "stock-adds-up",
        "more was sold than there was, and it adds up",
        "UPDATE products SET initial = 0, on_hand = -1 WHERE sku = 'G1'",
        {"sku": "G1", "on_hand": -1, "too_many": 0},
    ),
    (
        "stock-adds-up",
        "nobody knows how much there was nor how much is left",
        "UPDATE products SET initial = NULL, on_hand = NULL WHERE sku = 'G1'",
        {"sku": "G1", "on_hand": None},
    ),
    (
        "retries-keep-to-their-budget",
        "most calls of a link are repeats",
        "UPDATE recording.series SET value = 900 WHERE metric = 'link_retries_total' AND value > 0",
        {"link": "checkout.payments", "client": "checkout[0]", "calls": 1200, "asked_again": 900},
    ),
    (
        "retries-keep-to-their-budget",
        "a client that was started again had asked again and again before",
        """UPDATE recording.series SET value = 700 WHERE metric = 'link_retries_total' AND value > 0;
           INSERT INTO recording.series FROM recording.series
           SELECT metric, labels, t + 10, 20 WHERE metric = 'link_retries_total' AND value > 0""",
        {"link": "checkout.payments", "asked_again": 720},
    ),
    (
        "failures-are-counted",
        "failures were counted as successes",
        """UPDATE recording.series SET value = 0 WHERE labels LIKE '%5xx%' OR labels LIKE '%4xx%'""",
        {"service": "storefront", "answered": 500, "counted": 0},
    ),
    (
        "failures-are-counted",
        "a good part of the failures was not counted",
        """UPDATE recording.series SET value = 300 WHERE labels LIKE '%5xx%' AND value > 0""",
        {"answered": 500, "counted": 350},
    ),
    ("status-tells-of-trouble", "all is well, and nobody can order", TROUBLE, {"ended": 40, "failed": 40}),
]
