-- title: Nobody is charged twice
-- why: What both processors captured for one order and did not hand back is one charge at most.
-- minimum: 1
WITH entries AS (
  SELECT 'psp-a' AS processor, * FROM psp_a
  UNION ALL BY NAME
  SELECT 'psp-b' AS processor, * FROM psp_b
), keys AS (
  SELECT processor, key, max(order_id) AS order_id, max(reference) AS reference,
         count(*) FILTER (entry = 'charge') - count(*) FILTER (entry IN ('void', 'refund') AND amount_cents > 0) AS captures,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END) AS cents
  FROM entries GROUP BY processor, key
)
SELECT max(reference) AS reference, order_id, sum(captures)::BIGINT AS captures, sum(cents)::BIGINT AS charged_cents,
       list_sort(list(processor || ' ' || key)) AS charges
FROM keys WHERE captures > 0 OR cents > 0
GROUP BY order_id
HAVING sum(captures) > 1;
-- examined:
SELECT count(DISTINCT order_id) FROM (
  SELECT order_id FROM psp_a WHERE entry = 'charge' UNION ALL SELECT order_id FROM psp_b WHERE entry = 'charge'
);
