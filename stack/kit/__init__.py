"""What every service of the shop shares: server, client, databases, errors, metrics, deadlines, outbox, ledger, log.

A service imports from the modules here and never from another service. The page `docs/50-the-shop.md` walks through
them.
"""
