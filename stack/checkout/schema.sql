-- Checkout: orders, and the messages that leave through the outbox.
--
-- The order's row is the authority on what becomes of it: every change is a compare-and-set on its state. `epoch` counts
-- takings-over, so that a worker that was slow cannot park or give up what another has taken since.
create table if not exists orders (
    order_id        uuid primary key,
    idempotency_key text not null unique,
    fingerprint     text not null,
    reference       text not null,
    state           text not null check (state in
                    ('placed', 'held', 'payment_unknown', 'cancelling',
                     'accepted', 'rejected_sold_out', 'rejected_declined', 'failed', 'cancelled_refunded')),
    attempt         integer not null default 1,      -- how often the shopper's request was worked on
    epoch           integer not null default 1,
    may_be_charged  boolean not null default true,   -- false: certainly nothing was charged, nor is under way
    total_cents     bigint not null,
    card_network    text not null,
    cohort          text,
    email           text not null,
    lines           jsonb not null,                  -- [{"sku", "quantity", "price_cents"}]
    problem         jsonb,                           -- why it was refused, for who asks again
    worker          text,
    lease_until     timestamptz,                     -- until then its worker alone goes on with it
    due_at          timestamptz,                     -- from then on the finisher does; null: it has come to its end
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    accepted_at     timestamptz,
    finished_at     timestamptz
);

create index if not exists orders_due on orders (due_at) where due_at is not null;

create table if not exists outbox (
    id           bigserial primary key,
    topic        text not null,
    key          text not null,
    payload      jsonb not null,
    created_at   timestamptz not null default now(),
    leased_until timestamptz,
    delivered_at timestamptz
);

create index if not exists outbox_undelivered on outbox (topic, id) where delivered_at is null;
