"""Carts: what shoppers have picked, for half an hour, in Valkey."""
