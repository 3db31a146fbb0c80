-- Payments: one row a charge (the order's wish to be paid), one row an attempt (a request to one processor).
--
-- The charge's row is the only authority: every change is a compare-and-set on (key, n, state), so that a worker, the
-- resolver and a cancellation, in one process or several, cannot both decide. The attempts are its history.
create table if not exists charges (
    key              text primary key,
    order_id         uuid not null,
    amount_cents     bigint not null default 0,
    network          text not null default '',
    reference        text not null default '',
    fingerprint      text not null default '',
    state            text not null check (state in
                     ('pending', 'voiding', 'captured', 'declined', 'not_charged', 'cancelled', 'refunding', 'refunded')),
    cancel_requested boolean not null default false,
    n                integer not null default 0,   -- the present attempt
    processor        text,                         -- of the present attempt
    provider_key     text,                         -- of the present attempt
    charge_id        text,                         -- the processor's name for the capture
    sent_at          timestamptz,                  -- of the present attempt
    worker           text,
    lease_until      timestamptz,                  -- until then its worker alone goes on with it
    due_at           timestamptz,                  -- from then on the resolver does; null: nothing is left to do
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now()
);

create index if not exists charges_due on charges (due_at) where due_at is not null;

create table if not exists attempts (
    key          text not null,
    n            integer not null,
    processor    text not null,
    provider_key text not null,
    state        text not null check (state in
                 ('sent', 'captured', 'declined', 'refused', 'not_sent', 'failed', 'voided', 'refunded', 'abandoned')),
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (key, n)
);
