"""The statements of the inventory. Each operation is one, so that its locks are held as shortly as can be.

Locks are taken in one order everywhere, holds by order id and then products by sku, so that no two statements wait
for each other. The one exception, a hold's own new row, comes after its products, and whoever writes such a row
without products (TOMBSTONES) does it in a statement of its own.
"""

from __future__ import annotations

# $1 order id, $2 skus, $3 quantities, $4 seconds. All lines or none. A row that another transaction is just writing
# under the same id is not seen: then `placed`, `state` and `short` are all null, and the statement is sent again.
HOLD = """
WITH asked AS (SELECT * FROM unnest($2::text[], $3::int[]) AS line (sku, quantity)),
known AS (SELECT state, expires_at FROM holds WHERE order_id = $1),
locked AS MATERIALIZED (
    SELECT p.sku, p.on_hand FROM products p
    WHERE p.sku = ANY($2::text[]) AND NOT EXISTS (SELECT FROM known)
    ORDER BY p.sku FOR UPDATE
),
short AS (
    SELECT asked.sku FROM asked LEFT JOIN locked USING (sku)
    WHERE coalesce(locked.on_hand, 0) < asked.quantity AND NOT EXISTS (SELECT FROM known)
),
placed AS (
    INSERT INTO holds (order_id, state, expires_at)
    SELECT $1, 'held', now() + $4 * interval '1 second'
    WHERE NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM short)
    ON CONFLICT (order_id) DO NOTHING
    RETURNING expires_at
),
taken AS (
    UPDATE products p SET on_hand = p.on_hand - asked.quantity FROM asked
    WHERE p.sku = asked.sku AND EXISTS (SELECT FROM placed)
),
lines AS (
    INSERT INTO hold_lines (order_id, sku, quantity)
    SELECT $1, sku, quantity FROM asked WHERE EXISTS (SELECT FROM placed)
)
SELECT (SELECT expires_at FROM placed) AS placed,
       (SELECT state FROM known) AS state,
       (SELECT expires_at FROM known) AS expires_at,
       (SELECT array_agg(sku ORDER BY sku) FROM short) AS short
"""

HOLD_LINES = "SELECT sku, quantity FROM hold_lines WHERE order_id = $1 ORDER BY sku"

# $1 order ids. Of each: what it was, and whether it was changed now.
CONFIRM = """
WITH target AS MATERIALIZED (
    SELECT order_id FROM holds WHERE order_id = ANY($1) AND state = 'held' ORDER BY order_id FOR UPDATE
),
done AS (
    UPDATE holds h SET state = 'confirmed', updated_at = now() FROM target
    WHERE h.order_id = target.order_id RETURNING h.order_id
)
SELECT h.order_id, h.state, done.order_id IS NOT NULL AS changed
FROM holds h LEFT JOIN done USING (order_id) WHERE h.order_id = ANY($1)
"""

# $1 the order id of an expired hold: takes its stock again if all of it is there, else the order is lost for good.
RETAKE = """
WITH target AS MATERIALIZED (SELECT order_id FROM holds WHERE order_id = $1 AND state = 'expired' FOR UPDATE),
locked AS MATERIALIZED (
    SELECT p.sku, p.on_hand, l.quantity FROM products p JOIN hold_lines l ON l.sku = p.sku
    WHERE l.order_id = (SELECT order_id FROM target)
    ORDER BY p.sku FOR UPDATE OF p
),
verdict AS (
    SELECT count(*) > 0 AND bool_and(on_hand >= quantity)
           AND count(*) = (SELECT count(*) FROM hold_lines WHERE order_id = $1) AS enough
    FROM locked
),
taken AS (
    UPDATE products p SET on_hand = p.on_hand - locked.quantity FROM locked
    WHERE p.sku = locked.sku AND (SELECT enough FROM verdict)
) UPDATE holds h SET state = CASE WHEN (SELECT enough FROM verdict) THEN 'confirmed' ELSE 'released' END, updated_at =
now() FROM target WHERE h.order_id = target.order_id RETURNING h.state
"""

_RETURN_STOCK = """
WITH target AS MATERIALIZED (
    {target}
),
back AS (
    SELECT l.sku, sum(l.quantity)::int AS quantity FROM hold_lines l JOIN target USING (order_id) GROUP BY l.sku
),
locked AS MATERIALIZED (
    SELECT p.sku FROM products p WHERE p.sku IN (SELECT sku FROM back) ORDER BY p.sku FOR UPDATE
),
returned AS (
    UPDATE products p SET on_hand = p.on_hand + back.quantity
    FROM back JOIN locked USING (sku) WHERE p.sku = back.sku
),
done AS (
    UPDATE holds h SET state = '{state}', updated_at = now() FROM target
    WHERE h.order_id = target.order_id RETURNING h.order_id
)
"""

# $1 order ids. As CONFIRM answers; an id that has no row needs a tombstone.
RELEASE = (
    _RETURN_STOCK.format(  # noqa: S608 - put together from constants
        target="SELECT order_id FROM holds WHERE order_id = ANY($1) AND state = 'held' ORDER BY order_id FOR UPDATE",
        state="released",
    )
    + """
SELECT h.order_id, h.state, done.order_id IS NOT NULL AS changed
FROM holds h LEFT JOIN done USING (order_id) WHERE h.order_id = ANY($1)
"""
)

# $1 how many at most. Those that somebody is just confirming or releasing are left to them.
EXPIRE = (
    _RETURN_STOCK.format(  # noqa: S608 - put together from constants
        target="SELECT order_id FROM holds WHERE state = 'held' AND expires_at < now() "
        "ORDER BY order_id LIMIT $1 FOR UPDATE SKIP LOCKED",
        state="expired",
    )
    + "SELECT order_id FROM done"
)

# $1 order ids: a hold that arrives later under one of them is refused.
TOMBSTONES = """
INSERT INTO holds (order_id, state, expires_at)
SELECT order_id, 'released', now() FROM unnest($1::uuid[]) AS gone (order_id) ORDER BY order_id
ON CONFLICT (order_id) DO NOTHING RETURNING order_id
"""

# $1 order ids, $2 seconds from now. A hold is never shortened.
EXTEND = """
WITH target AS MATERIALIZED (
    SELECT order_id FROM holds WHERE order_id = ANY($1) AND state = 'held' ORDER BY order_id FOR UPDATE
)
UPDATE holds h SET expires_at = greatest(h.expires_at, now() + $2 * interval '1 second'), updated_at = now() FROM target
WHERE h.order_id = target.order_id
RETURNING h.order_id, h.expires_at
"""

# $1 order ids: as EXPIRE, of these alone.
EXPIRE_THESE = (
    _RETURN_STOCK.format(  # noqa: S608 - put together from constants
        target="SELECT order_id FROM holds WHERE state = 'held' AND expires_at < now() AND order_id = ANY($1) "
        "ORDER BY order_id FOR UPDATE SKIP LOCKED",
        state="expired",
    )
    + "SELECT order_id FROM done"
)
EXPIRED = "SELECT order_id FROM holds WHERE state = 'held' AND expires_at < now() ORDER BY order_id LIMIT $1"

PRODUCTS = "SELECT sku, name, price_cents, business_line, rank, on_hand FROM products ORDER BY rank"
STOCK = """
SELECT version, ARRAY(SELECT sku FROM products WHERE on_hand <= 0 ORDER BY sku) AS sold_out FROM catalogue_version
"""

# Around damaged pages: what lies from one place in the table up to another.
PRODUCTS_BETWEEN = """
SELECT sku, name, price_cents, business_line, rank, on_hand FROM products WHERE ctid >= $1::tid AND ctid < $2::tid
"""
VERSION = "SELECT version FROM catalogue_version"
SKUS = "SELECT sku FROM products"
ONE = "SELECT on_hand FROM products WHERE sku = $1"
