-- Which "declined" and "sold out" are really so: (intent_id, outcome) per intent. What is not in here counts as bad.
-- And what became of those of which no shopper ever heard the end: they are unknown no more.
--
-- Declined: the outsider's own ledger says so, and nobody kept the shopper's money.
-- Sold out: when the order was refused, every piece of one of the wanted products was spoken for. Stock that was merely lost, or
-- made to look like nothing, does not count: all that was held of it would then be less than there was. Nor does what was held
-- only later, or had been let go 5 s before the order came: so long a statement may wait, and a "no" be remembered.
WITH paid AS (
  SELECT order_id,
         bool_or(entry = 'decline') AS declined,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END) AS kept_cents
  FROM odd_entries GROUP BY order_id
), wanted AS (
  SELECT intents.id, trim(line.line[1]::VARCHAR, '"') AS sku, line.line[2]::BIGINT AS quantity,
         orders.created_at AS asked_at, orders.finished_at AS told_at
  FROM odd_purchases AS intents JOIN odd_orders AS orders ON orders.idempotency_key = intents.id,
       unnest(CAST(CAST(intents.lines AS JSON) AS JSON[][])) AS line(line)
  WHERE intents.outcome = 'sold_out' AND orders.state = 'rejected_sold_out'
), held AS (
  SELECT sku, quantity, created_at, CASE WHEN state IN ('released', 'expired') THEN updated_at + INTERVAL 5 SECONDS END AS free_at
  FROM (FROM hold_lines SEMI JOIN wanted USING (sku)) JOIN holds USING (order_id)
), taken AS (
  SELECT sku, created_at, sum(quantity) OVER (PARTITION BY sku ORDER BY created_at) AS pieces FROM held
), freed AS (
  SELECT sku, free_at, sum(quantity) OVER (PARTITION BY sku ORDER BY free_at) AS pieces FROM held WHERE free_at IS NOT NULL
)
SELECT intents.id AS intent_id, 'declined' AS outcome
FROM odd_purchases AS intents
JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
JOIN paid ON paid.order_id = orders.order_id
WHERE intents.outcome = 'declined' AND orders.state = 'rejected_declined' AND paid.declined AND paid.kept_cents = 0
UNION
SELECT wanted.id, 'sold_out'
FROM wanted
JOIN products ON products.sku = wanted.sku
ASOF LEFT JOIN taken ON taken.sku = wanted.sku AND wanted.told_at >= taken.created_at
ASOF LEFT JOIN freed ON freed.sku = wanted.sku AND wanted.asked_at > freed.free_at
WHERE wanted.quantity + coalesce(taken.pieces, 0) - coalesce(freed.pieces, 0) > products.initial + products.restocked
UNION
SELECT intents.id,
       CASE orders.state
         WHEN 'accepted' THEN 'ok' WHEN 'rejected_declined' THEN 'declined' WHEN 'rejected_sold_out' THEN 'sold_out'
         ELSE 'failed'
       END
FROM odd_purchases AS intents JOIN odd_orders AS orders ON orders.idempotency_key = intents.id
WHERE intents.outcome = 'unknown'
  AND orders.state IN ('accepted', 'rejected_sold_out', 'rejected_declined', 'failed', 'cancelled_refunded');
