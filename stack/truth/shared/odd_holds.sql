-- Holds of stock for odd orders.
SELECT holds.* FROM holds SEMI JOIN odd ON number = hash(order_id);
