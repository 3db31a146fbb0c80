"""How an outsider is told to misbehave: a share of requests failed, declined or delayed, by seeded draws."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stack.kit.http import Request
from stack.kit.problems import Problem

ANSWERS = ("before", "after")
_FIELDS = ("answer", "decline_share", "delay_ms", "delay_share", "fail_share", "networks")
_MAX_DELAY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to a share of requests.

    Shares are 0..1. `networks` limits it to these card networks (None: all). `answer` says on which side of the deed it
    happens: "before" fails or delays a request that has done nothing yet, "after" one whose deed is done already.
    """

    fail_share: float = 0.0
    decline_share: float = 0.0
    delay_ms: float = 0.0
    delay_share: float = 1.0
    networks: frozenset[str] | None = None
    answer: str = "before"

    def document(self) -> dict[str, Any]:
        """The JSON form, as GET gives it and POST takes it."""
        return {
            "fail_share": self.fail_share,
            "decline_share": self.decline_share,
            "delay_ms": self.delay_ms,
            "delay_share": self.delay_share,
            "networks": None if self.networks is None else sorted(self.networks),
            "answer": self.answer,
        }


@dataclass(frozen=True, slots=True)
class Fate:
    """What was drawn for one request."""

    fail: bool = False
    decline: bool = False
    delay_s: float = 0.0
    after: bool = False


UNDISTURBED = Fate()


def parse(document: Mapping[str, Any]) -> Behaviour:
    """A behaviour from its JSON form; what is left out has its default. A 422 problem says what would be right."""
    for name in document:
        if name not in _FIELDS:
            raise _wrong(f"{name!r} is not a setting; there are {', '.join(_FIELDS)}")
    answer = document.get("answer", "before")
    if answer not in ANSWERS:
        raise _wrong(f'answer is {answer!r}; it must be "before" or "after"')
    return Behaviour(
        fail_share=_number(document, "fail_share", 0.0, 1.0),
        decline_share=_number(document, "decline_share", 0.0, 1.0),
        delay_ms=_number(document, "delay_ms", 0.0, _MAX_DELAY_MS),
        delay_share=_number(document, "delay_share", 1.0, 1.0),
        networks=_networks(document.get("networks")),
        answer=answer,
    )


def _number(document: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _wrong(f"{name} is {value!r}; it must be a number from 0 to {most:g}")
    return float(value)


def _networks(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise _wrong(f'networks is {value!r}; it must be null for all or a list of names like ["visa"]')
    return frozenset(value)


def _wrong(detail: str) -> Problem:
    return Problem(422, "behaviour-invalid", "This behaviour cannot be had", detail, safe_to_retry=False)


class Conduct:
    """The behaviour in force and the draws from it: with one seed, the n-th request of a key meets one fate."""

    def __init__(self, seed: int = 1) -> None:
        self.behaviour = Behaviour()
        self._seed = seed
        self._asked: dict[str, int] = {}

    def become(self, behaviour: Behaviour) -> None:
        """Behave like this from the next request on."""
        self.behaviour = behaviour
        self._asked.clear()

    def fate(self, key: str, network: str | None) -> Fate:
        """What happens to this request."""
        now = self.behaviour
        share = now.fail_share or now.decline_share or now.delay_ms
        if not share or (now.networks is not None and network not in now.networks):
            return UNDISTURBED
        nth = self._asked[key] = self._asked.get(key, 0) + 1
        return Fate(
            fail=self._draw("fail", key, nth) < now.fail_share,
            decline=self._draw("decline", key, nth) < now.decline_share,
            delay_s=now.delay_ms / 1000.0 if self._draw("delay", key, nth) < now.delay_share else 0.0,
            after=now.answer == "after",
        )

    def _draw(self, purpose: str, key: str, nth: int) -> float:
        digest = hashlib.blake2b(f"{self._seed}/{purpose}/{key}/{nth}".encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big") / (1 << 56)


def authorise(request: Request, token: str) -> None:
    """Let only the holder of the admin token pass; without a token set nobody passes. Raises a 401 problem."""
    given = (request.header("authorization") or "").encode()
    if not token or not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise Problem(
            401,
            "not-authorised",
            "Admin token needed",
            "Send Authorization: Bearer with the ADMIN_TOKEN of this run.",
            safe_to_retry=False,
        )
