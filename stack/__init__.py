"""The reference shop: the system that the experiments break."""
