"""A card processor: `python -m stack.thirdparty.processor`.

Settings: STYLE (replays-failures | stores-successes), LOOKUP_DELAY_S (0 and 2, by style), SEED (1), ADMIN_TOKEN.
"""

from __future__ import annotations

import asyncio
from typing import Any

from stack.kit.app import Request, Response, Route, Service, json_response, serve
from stack.kit.ledger import AppendOnlyLedger
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request, key_reused, not_found
from stack.kit.settings import env_float, env_int, env_str, identity
from stack.thirdparty import behaviour
from stack.thirdparty.book import Answer, Book, ChargeRequest, card_print, charge_id

_MAX_CENTS = 100_000_000


class Processor:
    """The HTTP side of a processor's book."""

    def __init__(self, book: Book, conduct: behaviour.Conduct, admin_token: str) -> None:
        self._book = book
        self._conduct = conduct
        self._admin_token = admin_token

    def routes(self) -> list[Route]:
        """All operations; the admin ones need the token."""
        return [
            Route("POST", "/charges", self.charge),
            Route("GET", "/charges", self.look_up),
            Route("POST", "/charges/void", self.void),
            Route("POST", "/refunds", self.refund),
            Route("GET", "/admin/behaviour", self.show_behaviour),
            Route("POST", "/admin/behaviour", self.set_behaviour),
            Route("DELETE", "/admin/behaviour", self.reset_behaviour),
        ]

    async def charge(self, request: Request) -> Response:
        """Capture a card payment once per key."""
        wanted = _charge_request(request)
        stored = self._book.stored_answer(wanted)
        if stored is not None:
            return _answered(stored, wanted)
        fate = self._conduct.fate(wanted.key, wanted.network)
        if fate.delay_s and not fate.after:
            await asyncio.sleep(fate.delay_s)
        if fate.fail and not fate.after:
            return _answered(self._book.fail(wanted), wanted)
        answer = self._book.charge(wanted, decline=fate.decline, fail_after=fate.fail)
        if fate.delay_s and fate.after:
            await asyncio.sleep(fate.delay_s)
        return _answered(answer, wanted)

    def look_up(self, request: Request) -> Response:
        """What became of a key; 404 where the processor knows of no charge (yet)."""
        key = request.query("key")
        if not key:
            raise bad_request("ask with ?key=")
        state = self._book.look_up(key)
        if state is None:
            raise not_found("there is no charge with this key")
        return json_response({"key": key, "state": state, "id": charge_id(key)})

    def void(self, request: Request) -> Response:
        """Definitive: whatever was captured under the key is handed back, and a later charge with it is refused."""
        key = _key(request)
        return json_response({"key": key, "state": "voided", "returned_cents": self._book.void(key)})

    def refund(self, request: Request) -> Response:
        """Hand a captured charge back, once."""
        key = _key(request)
        returned_cents = self._book.refund(key)
        if returned_cents is None:
            raise not_found("there is no captured charge with this key")
        return json_response({"key": key, "state": "refunded", "returned_cents": returned_cents})

    def show_behaviour(self, request: Request) -> Response:
        """The behaviour in force."""
        behaviour.authorise(request, self._admin_token)
        return json_response(self._conduct.behaviour.document())

    def set_behaviour(self, request: Request) -> Response:
        """Misbehave as told."""
        behaviour.authorise(request, self._admin_token)
        return self._become(behaviour.parse(request.json_object()))

    def reset_behaviour(self, request: Request) -> Response:
        """Behave."""
        behaviour.authorise(request, self._admin_token)
        return self._become(behaviour.Behaviour())

    def _become(self, wanted: behaviour.Behaviour) -> Response:
        self._conduct.become(wanted)
        log("behaviour", **wanted.document())
        return json_response(wanted.document())


def _charge_request(request: Request) -> ChargeRequest:
    key = request.idempotency_key()
    body = request.json_object()
    amount_cents, card = body.get("amount_cents"), body.get("card")
    if isinstance(amount_cents, bool) or not isinstance(amount_cents, int) or not 0 < amount_cents <= _MAX_CENTS:
        raise bad_request(f"amount_cents must be a whole number from 1 to {_MAX_CENTS}")
    if not isinstance(card, dict) or not _text(card, "network") or not _text(card, "token"):
        raise bad_request("card must be an object with network and token")
    return ChargeRequest(
        key,
        _text(body, "order_id"),
        _text(body, "reference"),
        amount_cents,
        card["network"],
        card_print(card["token"]),
    )


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name, "")
    if not isinstance(value, str):
        raise bad_request(f"{name} must be text")
    return value


def _key(request: Request) -> str:
    key = request.json_object().get("key")
    if not isinstance(key, str) or not key:
        raise bad_request('the body must be {"key": …}')
    return key


def _answered(answer: Answer, wanted: ChargeRequest) -> Response:
    if answer.state == "captured":
        return json_response({"id": answer.id, "state": "captured", "amount_cents": wanted.amount_cents}, 201)
    if answer.state == "declined":
        raise Problem(402, "declined", "The card was declined", "The issuer said no.", safe_to_retry=False)
    if answer.state == "voided":
        raise Problem(
            409, "charge-voided", "This key is void", "It was voided; nothing is charged under it.", safe_to_retry=False
        )
    if answer.state == "mismatch":
        raise key_reused()
    raise Problem(500, "processor-failure", "The processor failed", "Something went wrong here.", safe_to_retry=True)


def build() -> Service:
    """The service from its environment."""
    me = identity()
    style = env_str("STYLE", "replays-failures")
    late = style == "stores-successes"
    ledger = AppendOnlyLedger(me.data_dir / "ledger.jsonl")
    book = Book(ledger, style, env_float("LOOKUP_DELAY_S", 2.0 if late else 0.0))
    processor = Processor(book, behaviour.Conduct(env_int("SEED", 1)), env_str("ADMIN_TOKEN", ""))
    return Service(me.name, processor.routes())


if __name__ == "__main__":
    serve(build())
