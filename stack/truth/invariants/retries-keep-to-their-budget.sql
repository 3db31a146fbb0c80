-- title: Nobody asks again without a limit
-- why: Who may try again as often as it likes multiplies the calls just when there are too many of them. Each client has a budget of a tenth.
-- minimum: 1
-- rank: 17
WITH steps AS (
  SELECT json_extract_string(labels, '$.link') AS link, json_extract_string(labels, '$.instance') AS client, metric, value,
         value - lag(value) OVER (PARTITION BY metric, labels ORDER BY t) AS step
  FROM recording.series WHERE metric IN ('link_calls_total', 'link_retries_total')
), counted AS (
  -- a client that was started again counts from 0
  SELECT link, client, metric, sum(CASE WHEN step < 0 THEN value ELSE step END) AS n FROM steps GROUP BY ALL
)
SELECT link, client, calls.n::BIGINT AS calls, retries.n::BIGINT AS asked_again
FROM counted AS calls JOIN counted AS retries USING (link, client)
WHERE calls.metric = 'link_calls_total' AND retries.metric = 'link_retries_total'
  -- several clients of a process share a link, each with a budget of its own; a statement that lost its connection is repeated once
  AND retries.n > 50 + 0.2 * calls.n;
-- examined:
SELECT coalesce(sum(n), 0)::BIGINT
FROM (SELECT max(value) - min(value) AS n FROM recording.series WHERE metric = 'link_calls_total' GROUP BY labels);
