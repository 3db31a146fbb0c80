-- title: Each accepted order is confirmed by mail, once
-- why: Who bought something hears of it; who hears of it twice calls the service desk.
-- minimum: 1
-- rank: 10
SELECT orders.reference, orders.order_id, count(mail.order_id) AS mails
FROM odd_orders AS orders LEFT JOIN odd_mail AS mail ON mail.order_id = orders.order_id AND mail.template = 'order-confirmation'
WHERE orders.state = 'accepted'
GROUP BY orders.reference, orders.order_id
HAVING count(mail.order_id) <> 1;
-- examined:
SELECT count(*) FROM orders WHERE state = 'accepted';
