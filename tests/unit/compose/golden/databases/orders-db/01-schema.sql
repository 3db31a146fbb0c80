-- stack/checkout/schema.sql
\connect shop shop
