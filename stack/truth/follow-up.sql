-- Who was written to about an order that failed: (key, told_at), one row a mail. The key is the intent's id.
-- An order that was accepted and could not be kept is cancelled by a mail of its own, which tells its shopper as well.
-- Any mail but a confirmation makes an order odd.
SELECT orders.idempotency_key AS key, mail.t AS told_at
FROM odd_mail AS mail JOIN odd_orders AS orders ON orders.order_id = mail.order_id
WHERE mail.template IN ('order-failed', 'order-cancelled');
