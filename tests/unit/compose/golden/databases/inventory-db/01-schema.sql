-- stack/inventory/schema.sql
\connect shop shop
