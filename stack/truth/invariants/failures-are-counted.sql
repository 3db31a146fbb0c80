-- title: The front door counts the failures that it answers
-- why: Alerts and dashboards are made of the shop's own counters. One that calls a failure a success wakes nobody.
-- minimum: 1
-- rank: 18
WITH steps AS (
  SELECT metric, labels, value, value - lag(value) OVER (PARTITION BY metric, labels ORDER BY t) AS step
  FROM recording.series WHERE metric IN ('http_requests_total', 'shopper_failures_total')
), counted AS (
  -- a service that was started again counts from 0
  SELECT metric, labels, sum(CASE WHEN step < 0 THEN value ELSE step END) AS n FROM steps GROUP BY ALL
), sides AS (
  -- shoppers call a failure honest only where the shop itself answered with one
  SELECT coalesce(sum(n) FILTER (metric = 'shopper_failures_total' AND json_extract_string(labels, '$.honest') = 'yes'
                                 AND json_extract_string(labels, '$.cohort') = 'all'), 0)::BIGINT AS answered,
         coalesce(sum(n) FILTER (metric = 'http_requests_total' AND json_extract_string(labels, '$.service') = 'storefront'
                                 AND json_extract_string(labels, '$.status_class') IN ('4xx', '5xx')), 0)::BIGINT AS counted
  FROM counted
)
SELECT 'storefront' AS service, answered, counted FROM sides
-- the last scrape of one may be a second older than that of the other
WHERE counted < 0.9 * answered - 10;
-- examined:
SELECT coalesce(sum(n), 0)::BIGINT
FROM (
  SELECT max(value) - min(value) AS n FROM recording.series
  WHERE metric = 'http_requests_total' AND json_extract_string(labels, '$.service') = 'storefront' GROUP BY labels
);
