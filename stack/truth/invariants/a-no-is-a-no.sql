-- title: "It was not done" is true
-- why: A shopper who was told that the order definitely failed orders elsewhere; having it accepted all the same sells it twice.
-- minimum: 1
-- rank: 7
SELECT intents.reference, intents.id AS idempotency_key, intents.outcome AS told, intents.problem, orders.order_id, orders.state
FROM odd_purchases AS intents JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
WHERE intents.outcome IN ('failed', 'declined', 'sold_out', 'blocked', 'gave_up') AND orders.state = 'accepted';
-- examined:
-- every purchase whose end is known: where nobody was refused, no "no" can be untrue
SELECT count(*) FROM intents WHERE outcome <> 'unknown';
