"""What the door and the cart service say alike of a cart."""

from __future__ import annotations

import re
from typing import Any

from stack.kit.problems import Problem, bad_request

_CART_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def cart_id_of(value: Any) -> str:
    """A cart's id, chosen by the shopper; a 400 problem when it is none."""
    if not isinstance(value, str) or _CART_ID.fullmatch(value) is None:
        raise bad_request("a cart id has 8 to 64 letters, digits, - or _")
    return value


def cart_unavailable() -> Problem:
    """503: the service of carts, or its store, does not answer."""
    return Problem(
        503,
        "cart-unavailable",
        "The cart cannot be reached just now",
        "Your cart is kept where it is; asking again changes it once.",
        safe_to_retry=True,
        retry_after_s=1.0,
    )
