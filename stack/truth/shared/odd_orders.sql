-- Odd orders.
SELECT order_id, idempotency_key, reference, state, total_cents, card_network, created_at, finished_at
FROM orders SEMI JOIN odd ON number = hash(order_id);
