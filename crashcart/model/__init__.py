"""Frozen data and pure rules. Nothing here touches the world, and nothing here imports the rest of crashcart."""
