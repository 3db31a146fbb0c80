-- What the payments database holds of odd orders.
SELECT key, order_id, processor, reference, amount_cents, network, state FROM charges SEMI JOIN odd ON number = hash(order_id);
