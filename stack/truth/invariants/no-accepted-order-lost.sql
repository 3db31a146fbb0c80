-- title: No accepted order is lost
-- why: A shopper who was told "thank you" has an order in the books, under the same key, number and total.
-- minimum: 1
-- rank: 2
SELECT intents.reference, intents.id AS idempotency_key, intents.order_id AS told_order, orders.order_id AS booked_order,
       orders.state, intents.total_cents AS told_cents, orders.total_cents AS booked_cents
FROM odd_purchases AS intents LEFT JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
WHERE intents.outcome = 'ok'
  AND (orders.state IS DISTINCT FROM 'accepted'
       OR orders.total_cents IS DISTINCT FROM intents.total_cents
       OR orders.order_id IS DISTINCT FROM intents.order_id);
-- examined:
SELECT count(*) FROM intents WHERE outcome = 'ok';
