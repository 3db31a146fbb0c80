-- title: Nobody is told by mail that a good order failed, and nobody twice that a bad one did
-- why: Who reads "your order failed", or was cancelled, orders again: if the first one stands after all, they have bought it twice.
-- minimum: 1
-- rank: 14
SELECT max(mail.reference) AS reference, mail.order_id, max(orders.state) AS state, count(*) AS mails
-- any mail but a confirmation makes an order odd
FROM odd_mail AS mail LEFT JOIN odd_orders AS orders ON orders.order_id = mail.order_id
WHERE mail.template IN ('order-failed', 'order-cancelled')
GROUP BY mail.order_id
HAVING count(*) > 1 OR bool_or(orders.state IS NULL OR orders.state NOT IN ('failed', 'cancelled_refunded', 'rejected_declined', 'rejected_sold_out'));
-- examined:
SELECT count(*) FROM orders;
