"""Checkout: takes an order through stock and payment to an end, whatever breaks on the way."""
