-- title: No purchase was ordered twice
-- why: Clicking twice, or asking again after a time-out, carries the same key and is the same order.
-- minimum: 1
-- rank: 5
WITH twice AS (
  -- of two orders under one key one is odd at least
  SELECT idempotency_key FROM orders SEMI JOIN odd_orders USING (idempotency_key) GROUP BY idempotency_key HAVING count(*) > 1
)
SELECT min(reference) AS reference, idempotency_key, count(*) AS times, list_sort(list(order_id)) AS order_ids
FROM orders JOIN twice USING (idempotency_key)
GROUP BY idempotency_key;
-- examined:
SELECT count(*) FROM orders;
