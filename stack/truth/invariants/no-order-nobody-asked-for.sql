-- title: No order that nobody asked for
-- why: Each order in the books carries the key of a purchase that a shopper really sent, and its total and card are what was sent.
-- minimum: 1
-- rank: 6
SELECT orders.reference, orders.order_id, orders.idempotency_key, orders.state, intents.outcome AS told,
       intents.total_cents AS asked_cents, orders.total_cents AS booked_cents,
       intents.network AS asked_network, orders.card_network AS booked_network
FROM odd_orders AS orders LEFT JOIN odd_purchases AS intents ON intents.id = orders.idempotency_key
WHERE intents.id IS NULL OR intents.sent_s IS NULL
   OR orders.total_cents IS DISTINCT FROM intents.total_cents
   OR orders.card_network IS DISTINCT FROM intents.network;
-- examined:
SELECT count(*) FROM orders;
