"""Starts the service: `python -m stack.storefront`."""

from stack.kit.app import serve
from stack.storefront.app import build

serve(build())
