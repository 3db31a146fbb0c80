-- title: An order costs what its lines cost
-- why: What the shopper saw, agreed to and paid may all be the same wrong sum. The prices are in the inventory.
-- minimum: 1
-- rank: 21
WITH lines AS (
  SELECT id, reference, order_id, total_cents, trim(line.line[1]::VARCHAR, '"') AS sku, line.line[2]::BIGINT AS quantity
  FROM odd_purchases AS intents, unnest(CAST(CAST(lines AS JSON) AS JSON[][])) AS line(line)
  WHERE outcome = 'ok'
)
SELECT reference, id AS idempotency_key, order_id, total_cents AS paid_cents, sum(quantity * price_cents)::BIGINT AS costs_cents
FROM lines LEFT JOIN products ON products.sku = lines.sku
GROUP BY ALL
HAVING total_cents IS DISTINCT FROM sum(quantity * price_cents) OR bool_or(price_cents IS NULL OR price_cents < 1);
-- examined:
SELECT count(*) FROM intents WHERE outcome = 'ok';
