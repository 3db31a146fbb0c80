-- Which "declined" and "sold out" are really so: (intent_id, outcome) per intent. What is not in here counts as bad.
-- And what became of those of which no shopper ever heard the end: they are unknown no more.
--
-- Declined: the outsider's own ledger says so, and nobody kept the shopper's money.
-- Sold out: at some time every piece of one of the wanted products was spoken for. Stock that was merely lost, or made to
-- look like nothing, does not count: all that was ever held of it would then be less than there was.
WITH paid AS (
  SELECT order_id,
         bool_or(entry = 'decline') AS declined,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END) AS kept_cents
  FROM odd_entries GROUP BY order_id
), asked AS (
  SELECT sku, sum(quantity) AS quantity FROM hold_lines GROUP BY sku
), wanted AS (
  SELECT intents.id, line.line[1]::VARCHAR AS sku, line.line[2]::BIGINT AS quantity
  FROM odd_purchases AS intents, unnest(CAST(CAST(intents.lines AS JSON) AS JSON[][])) AS line(line)
  WHERE intents.outcome = 'sold_out'
)
SELECT intents.id AS intent_id, 'declined' AS outcome
FROM odd_purchases AS intents
JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
JOIN paid ON paid.order_id = orders.order_id
WHERE intents.outcome = 'declined' AND orders.state = 'rejected_declined' AND paid.declined AND paid.kept_cents = 0
UNION
SELECT wanted.id, 'sold_out'
FROM wanted
JOIN products ON products.sku = trim(wanted.sku, '"')
LEFT JOIN asked ON asked.sku = products.sku
WHERE coalesce(asked.quantity, 0) + wanted.quantity > products.initial + products.restocked
UNION
SELECT intents.id,
       CASE orders.state
         WHEN 'accepted' THEN 'ok' WHEN 'rejected_declined' THEN 'declined' WHEN 'rejected_sold_out' THEN 'sold_out'
         ELSE 'failed'
       END
FROM odd_purchases AS intents JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
WHERE intents.outcome = 'unknown'
  AND orders.state IN ('accepted', 'rejected_sold_out', 'rejected_declined', 'failed', 'cancelled_refunded');
