-- Holds of stock for odd orders.
SELECT order_id, state FROM holds SEMI JOIN odd ON number = hash(order_id);
