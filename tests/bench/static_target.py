"""A shop that answers every request with the same few bytes: what the load is measured against at its ceiling.

`python -m tests.bench.static_target PORT`; `GET /answered` tells how many it has answered.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import orjson
import uvloop

from stack.kit.references import for_key

SKU, PRICE_CENTS = "G00001", 1999
_PAGE = {
    "sku": SKU,
    "name": "Sturdy Steel Lamp",
    "price_cents": PRICE_CENTS,
    "business_line": "general",
    "available": True,
}
_CATALOGUE = {"skus_by_rank": [{"sku": SKU, "price_cents": PRICE_CENTS, "business_line": "general"}]}
_CART = {"cart_id": "c", "lines": [{"sku": SKU, "quantity": 1, "price_cents": PRICE_CENTS}], "total_cents": PRICE_CENTS}
_ORDER = {"order_id": "o", "reference": for_key("o"), "state": "accepted", "total_cents": PRICE_CENTS}


def _answer(status: bytes, document: object) -> bytes:
    body = orjson.dumps(document)
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
    return head + body


_ANSWERS = {
    b"GET /pro": _answer(b"200 OK", _PAGE),
    b"GET /cat": _answer(b"200 OK", _CATALOGUE),
    b"POST /ca": _answer(b"200 OK", _CART),
    b"POST /or": _answer(b"201 Created", _ORDER),
}


class _Static(asyncio.Protocol):
    """One request at a time on each connection, whole in one piece: as both kinds of load send them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    answered = 0

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /answered "):
            self._transport.write(_answer(b"200 OK", _Static.answered))
            return
        answer = _ANSWERS.get(data[:8])
        if answer is not None:
            _Static.answered += 1
            self._transport.write(answer)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Static, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
