-- title: The payments database agrees with the processors' ledgers
-- why: What payments believes to be captured, and only that, is captured at the processor that it names, as one charge.
-- minimum: 1
-- rank: 13
WITH sides AS (
  SELECT order_id, processor, reference, 0 AS charges, 0 AS believed_cents,
         CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END AS ledger_cents
  FROM odd_entries WHERE order_id IS NOT NULL
  UNION ALL
  SELECT order_id, processor, reference, 1, amount_cents, 0 FROM odd_charges WHERE state = 'captured'
)
SELECT max(reference) AS reference, order_id, processor, sum(charges)::BIGINT AS charges,
       sum(believed_cents)::BIGINT AS believed_cents, sum(ledger_cents)::BIGINT AS ledger_cents
FROM sides
GROUP BY order_id, processor
-- an order is paid by one charge: two that add up to what was captured are none of them true
HAVING sum(charges) > 1 OR sum(believed_cents) IS DISTINCT FROM sum(ledger_cents);
-- examined:
SELECT count(*) FROM charges WHERE state = 'captured';
