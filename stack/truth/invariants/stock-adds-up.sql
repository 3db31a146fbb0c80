-- title: The stock adds up
-- why: What the shop opened with + restocked − confirmed − held = on hand, for every product. "Never below zero" alone would hide clamping.
-- minimum: 1
-- rank: 8
WITH taken AS (
  SELECT hold_lines.sku,
         coalesce(sum(quantity) FILTER (holds.state = 'confirmed'), 0)::BIGINT AS confirmed,
         coalesce(sum(quantity) FILTER (holds.state = 'held'), 0)::BIGINT AS held
  FROM hold_lines JOIN holds ON holds.order_id = hold_lines.order_id
  GROUP BY hold_lines.sku
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
