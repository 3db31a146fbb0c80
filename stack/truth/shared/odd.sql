-- Orders (by a digest of their number) that are not plainly right: looked at row by row in every invariant. Of a plainly right
-- one, what the shopper was told, the order, the charge, the hold, each of its lines, their prices and the confirmation cancel each
-- other out, and the 1 of its one purchase is left: what is there twice throughout leaves 2. Any other mail or charge of it makes it
-- odd. A sum of 64-bit digests that is 1 by chance is one in 10^19. What has no number at all is odd. A source that could not be read
-- makes all orders odd.
-- missing sources: empty
WITH sides AS (
  SELECT hash(order_id) AS number,
         1 + hash('order', id, reference, total_cents, network)::HUGEINT + hash('charge', id, reference, total_cents, network)::HUGEINT
         + hash('card', reference, network, substr(sha256('tok_' || network || '_' || session), 1, 16))::HUGEINT
         + hash('hold')::HUGEINT + hash('mail', reference, 'shopper-' || session || '@mail.example')::HUGEINT
         + hash('cent')::HUGEINT * total_cents
         + coalesce(list_sum([hash(line[1], TRY_CAST(line[2] AS BIGINT))::HUGEINT FOR line IN TRY(from_json(lines, '[["VARCHAR"]]'))]), 1) AS worth
  FROM intents WHERE outcome = 'ok' AND sent_s IS NOT NULL
  UNION ALL
  SELECT hash(order_id), CASE state WHEN 'accepted' THEN -hash('order', idempotency_key, reference, total_cents, card_network)::HUGEINT ELSE hash(state) END
  FROM orders
  UNION ALL
  SELECT hash(order_id), CASE entry WHEN 'charge' THEN -hash('psp-a', amount_cents)::HUGEINT - hash('card', reference, network, card)::HUGEINT ELSE hash(entry) END
  FROM psp_a
  UNION ALL
  SELECT hash(order_id), CASE entry WHEN 'charge' THEN -hash('psp-b', amount_cents)::HUGEINT - hash('card', reference, network, card)::HUGEINT ELSE hash(entry) END
  FROM psp_b
  UNION ALL
  SELECT hash(order_id),
         CASE state WHEN 'captured' THEN hash(processor, amount_cents)::HUGEINT - hash('charge', key, reference, amount_cents, network)::HUGEINT
                    ELSE hash(state) END
  FROM charges
  UNION ALL
  SELECT hash(order_id), CASE state WHEN 'confirmed' THEN -hash('hold')::HUGEINT ELSE hash(state) END FROM holds
  UNION ALL
  -- a product that is not there, or has no price, leaves the order odd
  SELECT hash(order_id), -hash(hold_lines.sku, quantity)::HUGEINT - coalesce(hash('cent')::HUGEINT * quantity * price_cents, 1)
  FROM hold_lines LEFT JOIN products ON products.sku = hold_lines.sku
  UNION ALL
  SELECT hash(order_id), CASE template WHEN 'order-confirmation' THEN -hash('mail', reference, "to")::HUGEINT ELSE hash(template) END FROM mail
)
SELECT number FROM sides GROUP BY number HAVING sum(worth) IS DISTINCT FROM 1 OR number = hash(NULL::VARCHAR);
