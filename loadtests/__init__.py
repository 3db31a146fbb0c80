"""The load of the reference shop: who comes, what they do, and how long they put up with it."""
