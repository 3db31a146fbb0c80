-- stack/payments/schema.sql
\connect shop shop
