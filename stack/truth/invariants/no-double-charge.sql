-- title: Nobody is charged twice
-- why: What both processors captured for one order and did not hand back is one charge at most.
-- minimum: 1
-- rank: 1
WITH suspects AS (
  SELECT order_id FROM odd_entries WHERE entry = 'charge' GROUP BY order_id HAVING count(*) > 1
), keys AS (
  -- a void of a key that was never charged is worth 0; a charge of which a part was kept is a charge
  SELECT processor, key, entries.order_id, max(reference) AS reference,
         count(*) FILTER (entry = 'charge') - count(*) FILTER (entry IN ('void', 'refund') AND amount_cents > 0) AS captures,
         sum(CASE entry WHEN 'charge' THEN amount_cents WHEN 'void' THEN -amount_cents WHEN 'refund' THEN -amount_cents ELSE 0 END) AS cents
  FROM odd_entries AS entries JOIN suspects ON suspects.order_id = entries.order_id
  GROUP BY processor, key, entries.order_id
)
SELECT max(reference) AS reference, order_id, sum(captures)::BIGINT AS captures, sum(cents)::BIGINT AS charged_cents,
       list_sort(list(processor || ' ' || key)) AS charges
FROM (SELECT * REPLACE (greatest(captures, (cents > 0)::INT) AS captures) FROM keys WHERE captures > 0 OR cents > 0)
GROUP BY order_id
HAVING sum(captures) > 1;
-- examined:
SELECT (SELECT count(*) FROM psp_a WHERE entry = 'charge') + (SELECT count(*) FROM psp_b WHERE entry = 'charge');
