"""Storefront: the shoppers' door. Browsing, carts and orders fail apart from each other."""
