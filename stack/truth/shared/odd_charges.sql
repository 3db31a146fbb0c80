-- What the payments database holds of odd orders.
SELECT charges.* FROM charges SEMI JOIN odd ON number = hash(order_id);
