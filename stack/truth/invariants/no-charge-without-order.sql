-- title: No charge without an accepted order
-- why: Where the order was refused, failed or never booked, the money must have been handed back.
-- minimum: 1
-- rank: 3
WITH suspects AS (
  -- an order that is still on its way is for no-order-left-unfinished to tell
  SELECT entries.*, orders.state
  FROM odd_entries AS entries LEFT JOIN odd_orders AS orders ON orders.order_id = entries.order_id
  WHERE orders.order_id IS NULL OR orders.state IN ('rejected_sold_out', 'rejected_declined', 'failed', 'cancelled_refunded')
)
SELECT max(reference) AS reference, order_id,
       sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END)::BIGINT AS charged_cents,
       max(state) AS state
FROM suspects
GROUP BY order_id
HAVING charged_cents > 0;
-- examined:
SELECT (SELECT count(*) FROM psp_a WHERE entry = 'charge') + (SELECT count(*) FROM psp_b WHERE entry = 'charge');
