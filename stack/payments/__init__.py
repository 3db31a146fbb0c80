"""Payments: captures the money of an order once, at one of several card processors, and knows what it does not know."""
