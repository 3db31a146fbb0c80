-- title: No charge without an accepted order
-- why: Where the order was refused, failed or never booked, the money must have been handed back.
-- minimum: 1
WITH entries AS (SELECT * FROM psp_a UNION ALL BY NAME SELECT * FROM psp_b), kept AS (
  SELECT order_id, max(reference) AS reference,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END)::BIGINT AS cents
  FROM entries GROUP BY order_id
)
-- an order that is still on its way is for no-order-left-unfinished to tell
SELECT kept.reference, kept.order_id, kept.cents AS charged_cents, orders.state
FROM kept LEFT JOIN orders ON orders.order_id = kept.order_id
WHERE kept.cents > 0
  AND (orders.order_id IS NULL OR orders.state IN ('rejected_sold_out', 'rejected_declined', 'failed', 'cancelled_refunded'));
-- examined:
SELECT count(*) FROM (
  SELECT order_id FROM psp_a WHERE entry = 'charge' UNION ALL SELECT order_id FROM psp_b WHERE entry = 'charge'
);
