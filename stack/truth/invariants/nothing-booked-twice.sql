-- title: Nothing is in the books twice
-- why: A product, an order, a charge, a hold and each of its lines is one row. The databases forbid a second one; a damaged index does not.
-- minimum: 1
-- rank: 15
SELECT 'order' AS what, order_id, min(reference) AS name, count(*) AS times
-- whatever is there twice of an order makes it odd
FROM odd_orders GROUP BY order_id HAVING times > 1
UNION ALL
-- of two charges under one key one is odd at least
SELECT 'charge', min(charges.order_id), charges.key, count(*) AS times
FROM charges SEMI JOIN odd_charges ON odd_charges.key IS NOT DISTINCT FROM charges.key GROUP BY charges.key HAVING times > 1
UNION ALL
SELECT 'hold', order_id, NULL, count(*) AS times FROM odd_holds GROUP BY order_id HAVING times > 1
UNION ALL
SELECT 'line of a hold', order_id, sku, count(*) AS times FROM odd_hold_lines GROUP BY order_id, sku HAVING times > 1
UNION ALL
SELECT 'product', NULL, sku, count(*) AS times FROM products GROUP BY sku HAVING times > 1;
-- examined:
SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM charges) + (SELECT count(*) FROM holds)
     + (SELECT count(*) FROM hold_lines) + (SELECT count(*) FROM products);
