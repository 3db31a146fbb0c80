-- Odd orders.
SELECT orders.* FROM orders SEMI JOIN odd ON number = hash(order_id);
