-- title: No confirmation of an order that was not accepted
-- why: A shopper who was told "your order is on its way" has an order that is.
-- minimum: 1
-- rank: 11
SELECT mail.reference, mail.order_id, orders.state
FROM odd_mail AS mail LEFT JOIN odd_orders AS orders ON orders.order_id = mail.order_id
WHERE mail.template = 'order-confirmation' AND (orders.state IS NULL OR orders.state NOT IN ('accepted', 'cancelled_refunded'));
-- examined:
SELECT count(*) FROM mail WHERE template = 'order-confirmation';
