-- Purchases that did not plainly come through, and those that did with an odd order.
SELECT id, session, outcome, sent_s, problem, reference, intents.order_id, total_cents, network, lines
FROM intents LEFT JOIN odd ON number = hash(intents.order_id)
             LEFT JOIN (SELECT DISTINCT idempotency_key FROM odd_orders) AS keys ON idempotency_key = id
WHERE outcome IS DISTINCT FROM 'ok' OR sent_s IS NULL OR number IS NOT NULL OR idempotency_key IS NOT NULL;
