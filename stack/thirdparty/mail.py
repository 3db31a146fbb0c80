"""A mail provider: `python -m stack.thirdparty.mail`. It sends a message once per key and writes it in its ledger.

Settings: SEED (1), ADMIN_TOKEN. A request is failed or delayed as a whole; its first message's key draws its fate.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from stack.kit.app import Request, Response, Route, Service, json_response, serve
from stack.kit.ledger import AppendOnlyLedger
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request
from stack.kit.settings import env_int, env_str, identity
from stack.thirdparty import behaviour

_FIELDS = ("key", "to", "template", "order_id", "reference")
_MAX_MESSAGES = 500


class MailProvider:
    """Messages sent so far, by key."""

    def __init__(self, ledger: AppendOnlyLedger, conduct: behaviour.Conduct, admin_token: str) -> None:
        self._ledger = ledger
        self._conduct = conduct
        self._admin_token = admin_token
        self._sent: set[str] = {record["key"] for record in ledger.read()}

    def routes(self) -> list[Route]:
        """All operations; the admin ones need the token."""
        return [
            Route("POST", "/messages", self.send),
            Route("GET", "/admin/behaviour", self.show_behaviour),
            Route("POST", "/admin/behaviour", self.set_behaviour),
            Route("DELETE", "/admin/behaviour", self.reset_behaviour),
        ]

    async def send(self, request: Request) -> Response:
        """Take a batch of messages; each key is sent once however often it comes."""
        messages = _messages(request)
        fate = self._conduct.fate(messages[0]["key"], None)
        if fate.delay_s and not fate.after:
            await asyncio.sleep(fate.delay_s)
        if fate.fail and not fate.after:
            raise _failure()
        self._send_new(messages)
        if fate.delay_s and fate.after:
            await asyncio.sleep(fate.delay_s)
        if fate.fail:
            raise _failure()
        return json_response({"accepted": [message["key"] for message in messages]})

    def _send_new(self, messages: list[dict[str, Any]]) -> None:
        new = {message["key"]: message for message in messages if message["key"] not in self._sent}
        if not new:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._ledger.append_all(
            [
                {
                    "t": now,
                    "key": key,
                    "to": message["to"],
                    "order_id": message["order_id"],
                    "reference": message["reference"],
                    "template": message["template"],
                }
                for key, message in new.items()
            ]
        )
        self._sent.update(new)

    def show_behaviour(self, request: Request) -> Response:
        """The behaviour in force."""
        behaviour.authorise(request, self._admin_token)
        return json_response(self._conduct.behaviour.document())

    def set_behaviour(self, request: Request) -> Response:
        """Misbehave as told; what only a card processor can do is refused."""
        behaviour.authorise(request, self._admin_token)
        wanted = behaviour.parse(request.json_object())
        if wanted.decline_share or wanted.networks is not None:
            raise Problem(
                422,
                "behaviour-invalid",
                "This behaviour cannot be had",
                "mail knows no decline_share and no networks; it can fail_share and delay_ms",
                safe_to_retry=False,
            )
        return self._become(wanted)

    def reset_behaviour(self, request: Request) -> Response:
        """Behave."""
        behaviour.authorise(request, self._admin_token)
        return self._become(behaviour.Behaviour())

    def _become(self, wanted: behaviour.Behaviour) -> Response:
        self._conduct.become(wanted)
        log("behaviour", **wanted.document())
        return json_response(wanted.document())


def _messages(request: Request) -> list[dict[str, Any]]:
    messages = request.json_object().get("messages")
    if not isinstance(messages, list) or not 0 < len(messages) <= _MAX_MESSAGES:
        raise bad_request(f"messages must be a list of 1 to {_MAX_MESSAGES}")
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(field), str) for field in _FIELDS):
            raise bad_request(f"each message needs the texts {', '.join(_FIELDS)}")
    return messages


def _failure() -> Problem:
    return Problem(500, "mail-failure", "The mail provider failed", "Something went wrong here.", safe_to_retry=True)


def build() -> Service:
    """The service from its environment."""
    me = identity()
    ledger = AppendOnlyLedger(me.data_dir / "ledger.jsonl")
    provider = MailProvider(ledger, behaviour.Conduct(env_int("SEED", 1)), env_str("ADMIN_TOKEN", ""))
    return Service(me.name, provider.routes())


if __name__ == "__main__":
    serve(build())
