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
-- charges for no order at all are nobody's to set off against each other; one of no known amount is not nothing
GROUP BY order_id, CASE WHEN order_id IS NULL THEN key END
HAVING charged_cents > 0 OR bool_or(entry = 'charge' AND amount_cents IS NULL);
-- examined:
SELECT (SELECT count(*) FROM psp_a WHERE entry = 'charge') + (SELECT count(*) FROM psp_b WHERE entry = 'charge');
