-- title: Mail about an order goes to whoever ordered
-- why: A confirmation in a stranger's mailbox tells them who bought what. And whoever ordered hears nothing.
-- minimum: 1
-- rank: 23
SELECT mail.reference, mail.order_id, mail.template, 'shopper-' || session || '@mail.example' AS ordered, mail."to" AS written_to
FROM odd_mail AS mail JOIN odd_orders AS orders ON orders.order_id = mail.order_id
                      JOIN odd_purchases AS intents ON intents.id = orders.idempotency_key
WHERE written_to IS DISTINCT FROM ordered;
-- examined:
SELECT count(*) FROM mail;
