"""Planted defects: each file starts a service of the shop with one thing altered, as real shops have shipped it.

`defects.yaml` says of each what it replaces, which experiment shows it, and which check must catch it;
`crashcart selftest --defects` runs them all. The shop's own code is clean of them.
"""
