"""Carts in Valkey, in terms of lines and cents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from stack.cart.scripts import ADD, FREEZE
from stack.kit.settings import env_int
from stack.kit.valkey import Valkey

MAX_LINES = 50
MAX_QUANTITY = 99
MAX_CHANGES = 200
CART_TTL_S = env_int("CART_TTL_S", 1800)
SNAPSHOT_TTL_S = env_int("SNAPSHOT_TTL_S", 86_400)
"""A shopper may ask again with an order's key for a day."""


@dataclass(frozen=True, slots=True)
class Line:
    """So many pieces of one product, at the price the shopper saw, in cents."""

    sku: str
    quantity: int
    price_cents: int


@dataclass(frozen=True, slots=True)
class Cart:
    """Lines in order of sku."""

    lines: tuple[Line, ...]

    @property
    def total_cents(self) -> int:
        """What all of it costs."""
        return sum(line.quantity * line.price_cents for line in self.lines)


@dataclass(frozen=True, slots=True)
class Limit:
    """The change would pass a limit: `name` says which. Nothing was changed."""

    name: str


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The key was used for something else before."""


class Carts:
    """All carts. Methods raise what `stack.kit.valkey` raises."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def add(self, cart_id: str, key: str, lines: Sequence[Line]) -> Cart | Limit | KeyReused:
        """Put lines into a cart, once for each key; the last price given for a product holds."""
        arguments: list[str | bytes | int] = [
            key,
            _fingerprint(lines),
            CART_TTL_S,
            MAX_LINES,
            MAX_QUANTITY,
            MAX_CHANGES,
        ]
        for line in lines:
            arguments += (line.sku, line.quantity, line.price_cents)
        reply = await self._valkey.script(ADD, [f"cart:{cart_id}"], arguments)
        if isinstance(reply, list):
            return _cart((field[2:], value) for field, value in _pairs(reply) if field[:2] == b"l:")
        problem = reply.decode()
        return KeyReused() if problem == "key-reused" else Limit(problem)

    async def get(self, cart_id: str) -> Cart:
        """A cart; one that nobody has filled is empty."""
        reply = await self._valkey.call("HGETALL", f"cart:{cart_id}")
        return _cart((field[2:], value) for field, value in _pairs(reply) if field[:2] == b"l:")

    async def freeze(self, cart_id: str, key: str, fingerprint: str, total_cents: int) -> Cart | KeyReused | None:
        """The cart as it was when it was first frozen under this key; None when it was empty then.

        One that does not cost `total_cents` (0: whatever it costs) is given as it is, and not frozen.
        """
        reply = await self._valkey.script(
            FREEZE, [f"cart:{cart_id}", f"frozen:{key}"], [cart_id, fingerprint, SNAPSHOT_TTL_S, total_cents]
        )
        if not reply:
            return None
        if reply[:2] != [cart_id.encode(), fingerprint.encode()]:
            return KeyReused()
        return _cart(_pairs(reply[2:]))


def _pairs(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _cart(pairs: Iterable[tuple[bytes, bytes]]) -> Cart:
    lines = []
    for sku, value in sorted(pairs):
        quantity, _, price_cents = value.partition(b":")
        lines.append(Line(sku.decode(), int(quantity), int(price_cents)))
    return Cart(tuple(lines))


def _fingerprint(lines: Sequence[Line]) -> str:
    """Of what the shopper asked for: not of prices, which may change between two attempts."""
    text = "\n".join(f"{line.sku} {line.quantity}" for line in lines)
    return blake2b(text.encode(), digest_size=12).hexdigest()
