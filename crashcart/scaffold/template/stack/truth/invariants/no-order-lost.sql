-- title: No order that a shopper was promised is missing
-- why: A promise that nobody keeps is the worst that a shop can do.
-- minimum: 10
SELECT id, order_id FROM intents WHERE outcome = 'ok' AND order_id NOT IN (SELECT order_id FROM orders)
-- examined:
SELECT count(*) FROM intents WHERE outcome = 'ok'
