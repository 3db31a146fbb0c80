-- title: What was captured is what the order costs
-- why: An accepted order is paid in full by the processors' ledgers: no less, no more, no nothing.
-- minimum: 1
-- rank: 4
WITH sides AS (
  SELECT order_id, NULL::BIGINT AS total_cents,
         CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END AS captured_cents
  FROM odd_entries
  UNION ALL
  SELECT order_id, total_cents, 0 FROM odd_orders WHERE state = 'accepted'
), wrong AS (
  SELECT order_id, max(total_cents) AS total_cents, sum(captured_cents)::BIGINT AS captured_cents
  FROM sides
  GROUP BY order_id
  HAVING max(total_cents) <> sum(captured_cents)
)
SELECT orders.reference, order_id, wrong.total_cents, captured_cents
FROM wrong JOIN odd_orders AS orders USING (order_id);
-- examined:
SELECT count(*) FROM orders WHERE state = 'accepted';
