"""What leaves through the outbox: mails to the provider, confirmations and releases to the stock, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stack.checkout.partners import Inventory, Mail
from stack.checkout.store import CONFIRM, RELEASE, Store
from stack.kit.log import log
from stack.kit.outbox import Message


class Deliveries:
    """Both deliver at least once; the receivers tell repeats by their keys."""

    def __init__(self, store: Store, inventory: Inventory, mail: Mail, wake_finisher: Callable[[], None]) -> None:
        self._store = store
        self._inventory = inventory
        self._mail = mail
        self._wake_finisher = wake_finisher

    async def mails(self, messages: Sequence[Message]) -> set[int]:
        """Give mails to the provider; which messages it took."""
        taken = await self._mail.send(messages)
        return {message.id for message in messages if message.key in taken}

    async def stock(self, messages: Sequence[Message]) -> set[int]:
        """Confirm and release holds; which messages were dealt with. Raises DatabaseError."""
        delivered: set[int] = set()
        confirm = [message for message in messages if message.topic == CONFIRM]
        if confirm:
            answer = await self._inventory.confirm([message.key for message in confirm])
            if answer is not None:
                known, gone = answer
                if gone:
                    for reference in await self._store.gone(gone):
                        log("order-stock-gone", level="error", reference=reference)
                    self._wake_finisher()
                delivered |= {message.id for message in confirm if message.key in known}
        release = [message for message in messages if message.topic == RELEASE]
        if release:
            let_go = await self._inventory.release([message.key for message in release])
            delivered |= {message.id for message in release if message.key in let_go}
        return delivered
