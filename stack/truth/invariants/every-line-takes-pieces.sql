-- title: Every line of a hold takes a piece at least
-- why: Pieces that nobody counted, or fewer than none, are set off against others in a sum that looks right.
-- minimum: 1
-- rank: 16
SELECT hold_lines.order_id, hold_lines.sku, hold_lines.quantity
FROM hold_lines
WHERE quantity IS NULL OR quantity < 1;
-- examined:
SELECT count(*) FROM hold_lines;
