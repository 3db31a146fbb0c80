"""Starts the service: `python -m stack.inventory`."""

from stack.inventory.app import build
from stack.kit.app import serve

serve(build())
