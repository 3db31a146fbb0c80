-- What stock was held of for odd orders.
SELECT order_id, sku, quantity FROM hold_lines SEMI JOIN odd ON number = hash(order_id);
