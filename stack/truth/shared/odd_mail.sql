-- Mail about odd orders.
SELECT mail.* FROM mail SEMI JOIN odd ON number = hash(order_id);
