"""References: the short codes that shoppers read to the service desk and that lead through every log."""

from __future__ import annotations

import hashlib
import os
from uuid import UUID, uuid5

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 10
_ORDERS = UUID("6d1a7b0e-5f0c-4f0e-9a55-0c6d6f726465")


def _encode(raw: bytes) -> str:
    number = int.from_bytes(raw, "big") >> (len(raw) * 8 - _LENGTH * 5)
    return "R-" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def for_key(key: str) -> str:
    """The reference of an order, derived from its idempotency key: the same key is the same reference everywhere."""
    return _encode(hashlib.blake2b(key.encode(), digest_size=8).digest())


def order_id_for(key: str) -> UUID:
    """The id of an order, derived from its idempotency key too: every try of a shopper is the same order everywhere."""
    return uuid5(_ORDERS, key)


def random() -> str:
    """A reference for a request that has no key."""
    return _encode(os.urandom(8))
