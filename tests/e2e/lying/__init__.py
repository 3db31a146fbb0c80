"""crashcart, started with one of its instruments altered so that it lies."""
