"""Checkout asks whoever gives no answer again and again, as long as anybody waits: no number, no budget, no breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stack.checkout import app, partners
from stack.kit import context
from stack.kit.app import serve
from stack.kit.client import Client, LinkError, Reply
from tests.defects.planting import put

PAUSE_S = 0.02


class Insists(Client):
    async def call(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        idempotent: bool = True,
    ) -> Reply:
        while True:
            try:
                return await super().call(
                    method, path, body, headers=headers, timeout_s=timeout_s, idempotent=idempotent
                )
            except LinkError:
                if not idempotent or context.remaining_s() < 0.1:
                    raise
                self.metrics.retry()
                await asyncio.sleep(PAUSE_S)


def alter() -> None:
    put(partners, "Client", Insists)


if __name__ == "__main__":
    alter()
    serve(app.build())
