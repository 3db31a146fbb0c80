-- The processors' ledgers, of odd orders.
SELECT 'psp-a' AS processor, entry, key, order_id, reference, amount_cents, network, card FROM psp_a SEMI JOIN odd ON number = hash(order_id)
UNION ALL
SELECT 'psp-b', entry, key, order_id, reference, amount_cents, network, card FROM psp_b SEMI JOIN odd ON number = hash(order_id);
