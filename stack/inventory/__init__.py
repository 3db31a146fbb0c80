"""Inventory: what there is, what is held for whom, what is sold."""
