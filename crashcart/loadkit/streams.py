"""One random stream per shopper and purpose, so that a retry changes nobody else's day."""

from __future__ import annotations

import uuid
from hashlib import blake2b
from random import Random

ARRIVALS = "arrivals"
"""The purpose of the stream that says when shoppers come; it belongs to no shopper (number −1)."""

_KEYS = uuid.UUID("6d0c4b4e-6f0d-5e0a-9d52-0d1f6f2c7f10")


def stream(seed: int, shopper: int, purpose: str) -> Random:
    """The stream of one shopper for one purpose: same three in, same numbers out, whatever else is drawn meanwhile."""
    digest = blake2b(f"{seed}/{shopper}/{purpose}".encode(), digest_size=16).digest()
    return Random(int.from_bytes(digest, "big"))


def key_for(salt: str, seed: int, shopper: int, what: str) -> str:
    """A UUID for one thing that one shopper does, used as its idempotency key. `salt` keeps runs on one shop apart."""
    return str(uuid.uuid5(_KEYS, f"{salt}/{seed}/{shopper}/{what}"))
