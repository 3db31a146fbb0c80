-- Mail about odd orders.
SELECT t, "to", order_id, reference, template FROM mail SEMI JOIN odd ON number = hash(order_id);
