"""`python -m stack.payments` starts the service."""

from stack.kit.app import serve
from stack.payments.app import build

serve(build())
