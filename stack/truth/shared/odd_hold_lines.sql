-- What stock was held of for odd orders.
SELECT hold_lines.* FROM hold_lines SEMI JOIN odd ON number = hash(order_id);
