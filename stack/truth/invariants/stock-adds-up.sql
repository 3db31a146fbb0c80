-- title: The stock adds up
-- why: What the shop opened with + restocked − confirmed − held = on hand, for every product. "Never below zero" alone would hide clamping.
-- minimum: 1
-- rank: 8
WITH lines AS (
  -- of an order that is not odd there is one hold, and that is confirmed
  SELECT sku, quantity AS confirmed, 0 AS held FROM hold_lines ANTI JOIN odd ON number = hash(order_id)
  UNION ALL
  SELECT sku, CASE state WHEN 'confirmed' THEN quantity END, CASE state WHEN 'held' THEN quantity END
  FROM odd_hold_lines JOIN odd_holds USING (order_id)
), taken AS (
  SELECT sku, coalesce(sum(confirmed), 0)::BIGINT AS confirmed, coalesce(sum(held), 0)::BIGINT AS held FROM lines GROUP BY sku
)
SELECT coalesce(products.sku, opening_stock.sku, taken.sku) AS sku, pieces AS opened_with, initial, restocked,
       coalesce(confirmed, 0) AS confirmed, coalesce(held, 0) AS held, on_hand,
       on_hand - (initial + restocked - coalesce(confirmed, 0) - coalesce(held, 0)) AS too_many
FROM products FULL JOIN opening_stock ON opening_stock.sku = products.sku
              FULL JOIN taken ON taken.sku = coalesce(products.sku, opening_stock.sku)
-- what was taken of a product that does not exist adds up to nothing: no foreign key forbids it; nor that one vanishes that nobody buys
WHERE products.sku IS NULL OR on_hand IS NULL
   -- both ends of the equation moved together
   OR initial IS DISTINCT FROM pieces
   -- it adds up, and more was sold than there ever was
   OR on_hand < 0
   OR on_hand IS DISTINCT FROM initial + restocked - coalesce(confirmed, 0) - coalesce(held, 0);
-- examined:
SELECT count(*) FROM products;
