-- The processors' ledgers, of odd orders.
SELECT 'psp-a' AS processor, psp_a.* FROM psp_a SEMI JOIN odd ON number = hash(order_id)
UNION ALL
SELECT 'psp-b', psp_b.* FROM psp_b SEMI JOIN odd ON number = hash(order_id);
