-- title: The reference that a shopper is given leads to their order
-- why: It is what they tell the service desk. The order, its charge, the processors' ledgers and every mail carry it, and no other.
-- minimum: 1
-- rank: 24
SELECT intents.reference, orders.order_id, 'told to the shopper' AS place, orders.reference AS booked
FROM odd_purchases AS intents JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
WHERE intents.outcome = 'ok' AND orders.reference IS DISTINCT FROM intents.reference
UNION ALL
SELECT charges.reference, order_id, 'payments', orders.reference
FROM odd_charges AS charges JOIN odd_orders AS orders USING (order_id)
WHERE charges.state = 'captured' AND orders.reference IS DISTINCT FROM charges.reference
UNION ALL
SELECT entries.reference, order_id, processor, orders.reference
FROM odd_entries AS entries JOIN odd_orders AS orders USING (order_id)
WHERE entry IN ('charge', 'refund') AND orders.reference IS DISTINCT FROM entries.reference
UNION ALL
SELECT mail.reference, order_id, 'mail', orders.reference
FROM odd_mail AS mail JOIN odd_orders AS orders USING (order_id)
WHERE orders.reference IS DISTINCT FROM mail.reference
UNION ALL
-- what two shoppers were told when it failed is none of theirs
SELECT reference, NULL, 'told to ' || count(*) || ' shoppers', NULL
FROM odd_purchases WHERE outcome <> 'ok' AND reference <> '' GROUP BY reference HAVING count(*) > 1;
-- examined:
SELECT (SELECT count(*) FROM intents WHERE reference <> '') + (SELECT count(*) FROM mail);
