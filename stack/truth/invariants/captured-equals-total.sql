-- title: What was captured is what the order costs
-- why: An accepted order is paid in full by the processors' ledgers: no less, no more, no nothing.
-- minimum: 1
WITH entries AS (SELECT * FROM psp_a UNION ALL BY NAME SELECT * FROM psp_b), kept AS (
  SELECT order_id,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END)::BIGINT AS cents
  FROM entries GROUP BY order_id
)
SELECT orders.reference, orders.order_id, orders.total_cents, coalesce(kept.cents, 0) AS captured_cents
FROM orders LEFT JOIN kept ON kept.order_id = orders.order_id
WHERE orders.state = 'accepted' AND coalesce(kept.cents, 0) <> orders.total_cents;
-- examined:
SELECT count(*) FROM orders WHERE state = 'accepted';
