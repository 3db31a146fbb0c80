-- title: Who clicks twice is told of one order, and the same of it
-- why: Both clicks carry the same key. Whoever is told of two orders waits for two parcels, or cancels the one that they have; whoever is told "accepted" and "it has failed" orders once more, and gets it twice.
-- minimum: 1
-- rank: 20
SELECT reference, id AS idempotency_key, outcome AS told, order_id AS first_order, double_click AS second_click
FROM intents
WHERE double_click IN ('different', 'contradicted');
-- examined:
-- every purchase that was sent: where nobody clicked twice, nobody was told of two
SELECT count(*) FROM intents WHERE sent_s IS NOT NULL;
