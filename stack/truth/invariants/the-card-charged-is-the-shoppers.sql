-- title: Whoever bought pays, with the card that they gave
-- why: A card taken from another order charges a stranger. Amounts, orders and ledgers agree all the same.
-- minimum: 1
-- rank: 22
SELECT entries.reference, entries.order_id, processor, entries.key, intents.network AS gave_network, entries.network AS charged_network,
       -- the load pays with one card per shopper, and the processors know it by the beginning of a digest
       substr(sha256('tok_' || intents.network || '_' || session), 1, 16) AS gave_card, card AS charged_card
FROM odd_entries AS entries JOIN odd_orders AS orders ON orders.order_id = entries.order_id
                            JOIN odd_purchases AS intents ON intents.id = orders.idempotency_key
WHERE entry = 'charge' AND (charged_network IS DISTINCT FROM gave_network OR charged_card IS DISTINCT FROM gave_card);
-- examined:
SELECT (SELECT count(*) FROM psp_a WHERE entry = 'charge') + (SELECT count(*) FROM psp_b WHERE entry = 'charge');
