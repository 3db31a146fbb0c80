"""Errors as RFC 9457 problem details: each says whether trying again is safe, and whom to contact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from stack.kit.settings import env_str

CONTACT = env_str("CONTACT", "support@shop.example, +1-555-0100")


class Problem(Exception):
    """An answer that is not the one asked for.

    `safe_to_retry` promises: sending the same request with the same Idempotency-Key again cannot do it twice and may
    succeed. `retry_after_s` is in seconds; `extra` adds members to the body (for example the sold-out skus).
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the name RFC 9457 gives it
        title: str,
        detail: str,
        *,
        safe_to_retry: bool,
        retry_after_s: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {type}: {detail}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.safe_to_retry = safe_to_retry
        self.retry_after_s = retry_after_s
        self.extra = extra

    def body(self, reference: str) -> bytes:
        """The problem+json document."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "reference": reference,
            "safe_to_retry": self.safe_to_retry,
            "retry_after_s": self.retry_after_s,
            "contact": CONTACT,
        }
        if self.extra:
            for name, value in self.extra.items():
                document.setdefault(name, value)
        return orjson.dumps(document)


def bad_request(detail: str) -> Problem:
    """400: the request itself is wrong; sending it again changes nothing."""
    return Problem(400, "bad-request", "The request is not understood", detail, safe_to_retry=False)


def not_found(detail: str) -> Problem:
    """404: there is no such thing."""
    return Problem(404, "not-found", "Not found", detail, safe_to_retry=False)


def key_reused() -> Problem:
    """422: the same Idempotency-Key came with another body."""
    return Problem(
        422,
        "idempotency-key-reused",
        "This key was used for another request",
        "The Idempotency-Key was already used with a different body; use a new key for a new request.",
        safe_to_retry=False,
    )


def overloaded(
    detail: str = "Too many requests are in progress; nothing was done.", retry_after_s: float = 1.0
) -> Problem:
    """503: refused at the door, nothing was done."""
    return Problem(503, "overloaded", "Too busy just now", detail, safe_to_retry=True, retry_after_s=retry_after_s)
