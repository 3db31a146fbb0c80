"""`make bench`: what it costs and how long it takes, measured on real runs. Nothing here asserts a time."""
