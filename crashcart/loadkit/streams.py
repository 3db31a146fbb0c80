"""One random stream per shopper and purpose, so that a retry changes nobody else's day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from random import Random

ARRIVALS = "arrivals"
"""The purpose of the stream that says when shoppers come; it belongs to no shopper (number −1)."""


def stream(seed: int, shopper: int, purpose: str) -> Random:
    """The stream of one shopper for one purpose: same three in, same numbers out, whatever else is drawn meanwhile."""
    digest = blake2b(f"{seed}/{shopper}/{purpose}".encode(), digest_size=16).digest()
    return Random(int.from_bytes(digest, "big"))


def key_for(salt: str, seed: int, shopper: int, what: str) -> str:
    """A UUID (version 8), the idempotency key of one thing one shopper does. `salt` keeps runs on one shop apart."""
    digest = blake2b(f"{salt}/{seed}/{shopper}/{what}".encode(), digest_size=16, person=b"key").hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


def choose(totals: Sequence[float], random: Random) -> int:
    """An index, by the running totals of its weights."""
    return bisect_right(totals, random.random() * totals[-1], hi=len(totals) - 1)
