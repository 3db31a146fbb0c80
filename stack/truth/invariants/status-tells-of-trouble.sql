-- title: The status page tells of trouble
-- why: Who cannot buy looks there. Where half of the orders fail for seconds on end, it must not say that all is well.
-- minimum: 1
-- rank: 19
WITH seconds AS (
  -- turned away at the door for want of room, or by the banner: those are told so on the spot
  SELECT floor(done_s)::BIGINT AS second, count(*) AS ended,
         count(*) FILTER (outcome IN ('failed', 'unknown') AND status >= 500
                          AND problem NOT IN ('overloaded', 'ordering-closed')) AS failed
  FROM intents WHERE sent_s IS NOT NULL AND done_s IS NOT NULL GROUP BY 1
), spans AS (
  -- what the page goes by itself: the last five seconds
  SELECT ending.second AS until_s, sum(seconds.ended)::BIGINT AS ended, sum(seconds.failed)::BIGINT AS failed
  FROM seconds AS ending JOIN seconds ON seconds.second BETWEEN ending.second - 4 AND ending.second
  GROUP BY ending.second
  HAVING sum(seconds.ended) >= 20 AND sum(seconds.failed) >= 0.5 * sum(seconds.ended)
), said AS (
  SELECT t AS from_s, value, coalesce(lead(t) OVER (PARTITION BY labels ORDER BY t), 'infinity'::DOUBLE) AS to_s
  FROM recording.series
  WHERE metric = 'shop_component_state' AND json_extract_string(labels, '$.component') IN ('cart', 'checkout', 'payments')
), told AS (
  SELECT until_s, ended, failed, min(value) AS least
  -- it is made anew once a second, and scraped once a second
  FROM spans JOIN said ON from_s <= until_s + 3 AND to_s > until_s - 4
  GROUP BY ALL
)
SELECT until_s, ended, failed, 'all is well' AS page FROM told WHERE least >= 1;
-- examined:
SELECT count(*) FROM recording.series WHERE metric = 'shop_component_state';
