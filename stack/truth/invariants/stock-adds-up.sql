-- title: The stock adds up
-- why: initial + restocked − confirmed − held = on hand, for every product. "Never below zero" alone would hide clamping.
-- minimum: 1
-- rank: 8
WITH taken AS (
  SELECT hold_lines.sku,
         coalesce(sum(quantity) FILTER (holds.state = 'confirmed'), 0)::BIGINT AS confirmed,
         coalesce(sum(quantity) FILTER (holds.state = 'held'), 0)::BIGINT AS held
  FROM hold_lines JOIN holds ON holds.order_id = hold_lines.order_id
  GROUP BY hold_lines.sku
)
SELECT coalesce(products.sku, taken.sku) AS sku, initial, restocked, coalesce(confirmed, 0) AS confirmed, coalesce(held, 0) AS held, on_hand,
       on_hand - (initial + restocked - coalesce(confirmed, 0) - coalesce(held, 0)) AS too_many
FROM products FULL JOIN taken ON taken.sku = products.sku
-- what was taken of a product that does not exist adds up to nothing: no foreign key forbids it
WHERE products.sku IS NULL OR on_hand IS NULL
   -- it adds up, and more was sold than there ever was
   OR on_hand < 0
   OR on_hand IS DISTINCT FROM initial + restocked - coalesce(confirmed, 0) - coalesce(held, 0);
-- examined:
SELECT count(*) FROM products;
