-- title: Every accepted order has its stock
-- why: What was sold was taken from the shelf, once: accepted orders have a confirmed hold, and only they.
-- minimum: 1
SELECT orders.reference, coalesce(orders.order_id, holds.order_id) AS order_id, orders.state AS order_state, holds.state AS hold_state
FROM orders FULL JOIN holds ON holds.order_id = orders.order_id
WHERE (orders.state = 'accepted') IS DISTINCT FROM (holds.state = 'confirmed')
  AND (orders.state = 'accepted' OR holds.state = 'confirmed');
-- examined:
SELECT count(*) FROM orders WHERE state = 'accepted';
