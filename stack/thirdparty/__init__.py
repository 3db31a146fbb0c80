"""Outsiders, simulated: card processors that differ as real ones do, and a mail provider; each has its own ledger."""
