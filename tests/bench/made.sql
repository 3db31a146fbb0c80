-- The tables of a made-up recording. Words in braces are filled in by made.py.

-- made:
CREATE TABLE made AS
SELECT i, i / {per_s} AS planned_s, CAST(md5('k' || i) AS UUID)::VARCHAR AS id, CAST(md5('o' || i) AS UUID)::VARCHAR AS order_id,
       'R' || upper(substr(md5('r' || i), 1, 9)) AS reference, hash(i) % 10000 AS luck,
       CASE WHEN hash(i * 3) % 100 < 70 THEN 'visa' WHEN hash(i * 3) % 100 < 95 THEN 'mastercard' ELSE 'amex' END AS network,
       'P' || (1 + hash(i * 5) % 5000) AS sku, 'Q' || (1 + hash(i * 11) % 5000) AS other_sku, hash(i * 13) % 10 < 4 AS two_lines,
       (500 + hash(sku) % 9000 + if(two_lines, 2 * (500 + hash(other_sku) % 9000), 0))::BIGINT AS total_cents,
       json_object('business_line', CASE WHEN hash(i * 17) % 10 = 0 THEN 'photo' ELSE 'general' END,
                   'device', CASE WHEN hash(i * 19) % 100 < 35 THEN 'desktop' ELSE 'mobile' END,
                   'network', network,
                   'region', CASE WHEN hash(i * 23) % 10 < 5 THEN 'north' WHEN hash(i * 23) % 10 < 8 THEN 'south' ELSE 'west' END
       )::VARCHAR AS cohorts,
       CASE WHEN luck < 3 THEN 'unknown' WHEN luck < 6 THEN 'failed' WHEN luck < 8 THEN 'blocked' WHEN luck < 10 THEN 'sold_out'
            WHEN luck < 200 THEN 'declined' ELSE 'ok' END AS outcome,
       CASE outcome WHEN 'blocked' THEN NULL WHEN 'sold_out' THEN 'rejected_sold_out' WHEN 'declined' THEN 'rejected_declined'
            WHEN 'failed' THEN 'failed' ELSE 'accepted' END AS state,
       CASE {phases} END AS phase, 40 + (hash(i * 29) % 100)::DOUBLE AS latency_ms,
       to_timestamp({t0_wall_s} + planned_s) AS booked_at, hash(i * 31) % 10 < 7 AS by_a,
       (floor(planned_s) * {sessions} + i - ceil(floor(planned_s) * {per_s}))::BIGINT AS session,
       substr(sha256('tok_' || network || '_' || session), 1, 16) AS card
FROM range({n}) AS numbers(i);
CREATE VIEW booked AS FROM made WHERE state IS NOT NULL;
CREATE VIEW lines AS
  SELECT order_id, state, CASE WHEN outcome = 'sold_out' THEN 'P0' ELSE sku END AS sku, 1::BIGINT AS quantity FROM booked
  UNION ALL SELECT order_id, state, other_sku, 2 FROM booked WHERE two_lines;

-- intents:
SELECT id, session, phase, planned_s, cohorts, outcome,
       if(state IS NULL, NULL, planned_s + 0.01::DOUBLE) AS intended_s, if(state IS NULL, NULL, planned_s + 0.011) AS sent_s,
       planned_s + latency_ms / 1000 AS done_s, if(state IS NULL, NULL, latency_ms) AS latency_ms,
       if(state IS NULL, 0, 1) AS attempts, CASE outcome WHEN 'ok' THEN 201 WHEN 'blocked' THEN NULL ELSE 409 END AS status,
       if(outcome = 'ok', NULL, 'made-up') AS problem, if(state IS NULL, NULL, reference) AS reference,
       if(outcome = 'ok', order_id, NULL) AS order_id, outcome = 'failed' AS safe_to_retry,
       if(state IS NULL, NULL, total_cents) AS total_cents, if(state IS NULL, NULL, network) AS network,
       '[["' || if(outcome = 'sold_out', 'P0', sku) || '",1]' || if(two_lines, ',["' || other_sku || '",2]', '') || ']' AS lines
FROM made ORDER BY planned_s, id

-- pace:
SELECT t, {sessions} AS scheduled, {sessions} AS started, 0.5 AS late_p50_ms, 2.0 AS late_p99_ms, 3.0 AS late_max_ms,
       10 AS in_flight, '{{}}' AS ops FROM range({duration_s}) AS seconds(t)

-- evidence:
SELECT quarter / 4 AS t, proxy, side, NOT (side = 'through' AND quarter / 4 BETWEEN {from_s} AND {to_s}) AS ok, 1::DOUBLE AS ms,
       '' AS error, 0 AS bytes, NULL::DOUBLE AS value
FROM range(40, {duration_s} * 4) AS quarters(quarter), unnest({watched}) AS proxies(proxy),
     unnest(['through', 'beside']) AS sides(side) ORDER BY t, proxy, side

-- truth/orders:
SELECT order_id, id AS idempotency_key, reference, state, total_cents, network AS card_network, booked_at AS created_at,
       booked_at AS finished_at FROM booked ORDER BY hash(i)

-- truth/charges:
SELECT id AS key, order_id, reference, total_cents AS amount_cents, network,
       CASE state WHEN 'accepted' THEN 'captured' WHEN 'rejected_declined' THEN 'declined' ELSE 'void' END AS state,
       if(by_a, 'psp-a', 'psp-b') AS processor
FROM booked WHERE state <> 'rejected_sold_out' ORDER BY hash(i)

-- truth/psp_a:
SELECT booked_at AS t, if(state = 'rejected_declined', 'decline', 'charge') AS entry, 'c' || i AS id, id || ':1' AS key, order_id, reference,
       total_cents AS amount_cents, network, card
FROM booked WHERE state IN ('accepted', 'rejected_declined') AND by_a

-- truth/psp_b:
SELECT booked_at AS t, if(state = 'rejected_declined', 'decline', 'charge') AS entry, 'c' || i AS id, id || ':1' AS key, order_id, reference,
       total_cents AS amount_cents, network, card
FROM booked WHERE state IN ('accepted', 'rejected_declined') AND NOT by_a

-- truth/mail:
SELECT booked_at AS t, 'order-confirmation:' || order_id AS key, 'shopper-' || session || '@mail.example' AS "to", order_id, reference, 'order-confirmation' AS template
FROM booked WHERE state = 'accepted'

-- truth/holds:
SELECT order_id, if(state = 'accepted', 'confirmed', 'released') AS state, booked_at AS created_at, booked_at AS updated_at,
       booked_at AS expires_at FROM booked
WHERE state <> 'rejected_sold_out' ORDER BY hash(i)

-- truth/hold_lines:
SELECT order_id, sku, quantity FROM lines WHERE state <> 'rejected_sold_out'

-- truth/products:
SELECT sku, (500 + hash(sku) % 9000)::BIGINT AS price_cents, 1000000000::BIGINT AS initial, 0::BIGINT AS restocked, 1000000000 - coalesce(sum(quantity) FILTER (state = 'accepted'), 0)::BIGINT AS on_hand
FROM lines WHERE sku <> 'P0' GROUP BY sku UNION ALL SELECT 'P0', 500, 0, 0, 0

-- truth/opening_stock:
SELECT sku, 1000000000::BIGINT AS pieces FROM lines WHERE sku <> 'P0' GROUP BY sku UNION ALL SELECT 'P0', 0

-- counts:
SELECT floor(planned_s)::BIGINT AS second, phase, outcome, latency_ms <= 100 AS quick, cohort.name AS cohort, count(*) AS n
FROM made,
     unnest(list_concat(['all'], [d || ':' || (cohorts ->> d) FOR d IN ['business_line', 'device', 'network', 'region']])) AS cohort(name)
GROUP BY ALL
