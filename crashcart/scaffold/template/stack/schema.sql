CREATE TABLE orders (
    order_id text PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    total_cents bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
