-- title: No order that a shopper was promised is missing from the shelf
-- why: A promise that nobody keeps is the worst that a shop can do.
-- minimum: 10
SELECT id, reference FROM intents WHERE outcome = 'ok' AND id NOT IN (SELECT key FROM shelf)
-- examined:
SELECT count(*) FROM intents WHERE outcome = 'ok'
