-- title: Every accepted order has its stock
-- why: What was sold was taken from the shelf, once: accepted orders have a confirmed hold of just what was bought, and only they.
-- minimum: 1
-- rank: 9
WITH sold AS (
  SELECT orders.reference, orders.order_id, intents.lines
  FROM odd_orders AS orders JOIN odd_holds AS holds ON holds.order_id = orders.order_id JOIN odd_purchases AS intents ON intents.id = orders.idempotency_key
  WHERE orders.state = 'accepted' AND holds.state = 'confirmed'
), bought AS (
  SELECT order_id, trim(line.line[1]::VARCHAR, '"') AS sku, sum(line.line[2]::BIGINT)::BIGINT AS quantity,
         min(line.line[2]::BIGINT) AS least
  FROM sold, unnest(CAST(CAST(lines AS JSON) AS JSON[][])) AS line(line)
  GROUP BY ALL
), taken AS (
  SELECT order_id, sku, sum(quantity)::BIGINT AS quantity FROM odd_hold_lines SEMI JOIN sold USING (order_id) GROUP BY ALL
), differing AS (
  SELECT order_id, sku, bought.quantity AS bought, taken.quantity AS taken
  FROM bought FULL JOIN taken USING (order_id, sku)
  -- pieces fewer than none are bought by nobody, whatever they are set off against
  WHERE bought.quantity IS DISTINCT FROM taken.quantity OR bought.least < 1
)
SELECT orders.reference, coalesce(orders.order_id, holds.order_id) AS order_id, orders.state AS order_state, holds.state AS hold_state,
       NULL AS sku, NULL AS bought, NULL AS taken
FROM odd_orders AS orders FULL JOIN odd_holds AS holds ON holds.order_id = orders.order_id
WHERE (orders.state = 'accepted') IS DISTINCT FROM (holds.state = 'confirmed')
  AND (orders.state = 'accepted' OR holds.state = 'confirmed')
UNION ALL
SELECT sold.reference, order_id, 'accepted', 'confirmed', sku, bought, taken
FROM differing JOIN sold USING (order_id);
-- examined:
SELECT count(*) FROM orders WHERE state = 'accepted';
