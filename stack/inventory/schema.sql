-- The book equation, for every product: initial + restocked − confirmed − held = on_hand.

CREATE TABLE products (
    sku text PRIMARY KEY,
    name text NOT NULL,
    price_cents int NOT NULL CHECK (price_cents > 0),
    business_line text NOT NULL,
    rank int NOT NULL,
    initial int NOT NULL CHECK (initial >= 0),
    restocked int NOT NULL DEFAULT 0 CHECK (restocked >= 0),
    on_hand int NOT NULL CHECK (on_hand >= 0)
) WITH (fillfactor = 60); -- a sale rewrites its row within the page

-- What the shop opened with, written once by the seed and read by the books alone: by it a product that is gone is missed, and
-- `initial` that was altered together with `on_hand`.
CREATE TABLE opening_stock (sku text PRIMARY KEY, pieces int NOT NULL CHECK (pieces >= 0));

-- Names, prices and lines are in the storefront's memory: this number tells it that they have changed.
CREATE TABLE catalogue_version (version bigint NOT NULL);
INSERT INTO catalogue_version VALUES (1);

CREATE FUNCTION catalogue_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalogue_version SET version = version + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER catalogue_changed
    AFTER INSERT OR DELETE OR UPDATE OF sku, name, price_cents, business_line, rank ON products
    FOR EACH STATEMENT EXECUTE FUNCTION catalogue_changed();

-- A row that was never held is a tombstone: its order was released before its hold arrived.
CREATE TABLE holds (
    order_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('held', 'confirmed', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX holds_expiring ON holds (expires_at) WHERE state = 'held';

-- No foreign key to products: its check would lock the hot rows once more in every sale. The books check it.
CREATE TABLE hold_lines (
    order_id uuid NOT NULL,
    sku text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, sku)
);
