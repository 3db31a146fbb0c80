-- title: No order is left unfinished
-- why: Every order reaches an end (accepted, refused, failed or refunded) soon after the load is gone, whatever broke meanwhile.
-- minimum: 1
-- rank: 12
SELECT reference, order_id, state, created_at
FROM odd_orders
WHERE state IS NULL OR state NOT IN ('accepted', 'rejected_sold_out', 'rejected_declined', 'failed', 'cancelled_refunded');
-- examined:
SELECT count(*) FROM orders;
