-- Who was written to about an order that failed: (key, told_at), one row a mail. The key is the intent's id.
-- An order that was accepted and could not be kept is cancelled by a mail of its own, which tells its shopper as well.
SELECT orders.idempotency_key AS key, mail.t AS told_at
FROM mail JOIN orders ON orders.order_id = mail.order_id
WHERE mail.template IN ('order-failed', 'order-cancelled');
