"""`python -m stack.checkout` starts the service."""

from stack.checkout.app import build
from stack.kit.app import serve

serve(build())
