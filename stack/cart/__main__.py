"""Starts the service: `python -m stack.cart`."""

from stack.cart.app import build
from stack.kit.app import serve

serve(build())
