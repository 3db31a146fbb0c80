-- title: No order that nobody asked for
-- why: Each order in the books carries the key of a purchase that a shopper really sent.
-- minimum: 1
SELECT orders.reference, orders.order_id, orders.idempotency_key, orders.state, intents.outcome AS told
FROM orders LEFT JOIN intents ON intents.id = orders.idempotency_key
WHERE intents.id IS NULL OR intents.sent_s IS NULL;
-- examined:
SELECT count(*) FROM orders;
