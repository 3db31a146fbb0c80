-- title: The payments database agrees with the processors' ledgers
-- why: What payments believes to be captured, and only that, is captured at the processor that it names.
-- minimum: 1
WITH entries AS (
  SELECT 'psp-a' AS processor, * FROM psp_a UNION ALL BY NAME SELECT 'psp-b' AS processor, * FROM psp_b
), ledgers AS (
  SELECT order_id, processor, max(reference) AS reference,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END)::BIGINT AS cents
  FROM entries WHERE order_id IS NOT NULL GROUP BY order_id, processor
), believed AS (
  SELECT order_id, processor, max(reference) AS reference, sum(amount_cents)::BIGINT AS cents FROM charges WHERE state = 'captured' GROUP BY order_id, processor
)
SELECT coalesce(ledgers.reference, believed.reference) AS reference, coalesce(ledgers.order_id, believed.order_id) AS order_id,
       coalesce(ledgers.processor, believed.processor) AS processor,
       coalesce(believed.cents, 0) AS believed_cents, coalesce(ledgers.cents, 0) AS ledger_cents
FROM ledgers FULL JOIN believed ON believed.order_id = ledgers.order_id AND believed.processor = ledgers.processor
WHERE coalesce(believed.cents, 0) <> coalesce(ledgers.cents, 0);
-- examined:
SELECT count(*) FROM charges WHERE state = 'captured';
