-- title: Every order in the books was asked for by a shopper
-- why: An order of nobody's is charged to somebody.
-- minimum: 10
SELECT order_id, idempotency_key FROM orders WHERE idempotency_key NOT IN (SELECT id FROM intents)
-- examined:
SELECT count(*) FROM orders
