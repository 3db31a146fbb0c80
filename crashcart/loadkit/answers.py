"""What came back for a request, and what a failure says about itself. Nothing the shop sends may crash the load."""

from __future__ import annotations

from typing import Literal

import msgspec

Broke = Literal["", "timeout", "refused", "reset", "garbled", "too-large"]
"""How the exchange itself broke; empty where a whole HTTP answer arrived."""

FailureKind = Literal["error", "timeout", "refused"]

TEXT_MAX = 200
"""Characters of the shop's text that are kept in a record."""


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. `path` is percent-encoded already."""

    method: str
    path: str
    name: str
    """What statistics call it: `/products/[sku]`."""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What came back, read in full."""

    status: int = 0
    """0 where no whole answer arrived."""
    body: bytes = b""
    content_type: str = ""
    broke: Broke = ""
    sent: bool = True
    """False: not a byte of the request left, so it was certainly not done."""
    detail: str = ""
    """For people: what the operating system or the parser said."""

    def json(self) -> object:
        """The body as JSON, None where it is not (or where it is `null`)."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class _Problem(msgspec.Struct, frozen=True):
    """RFC 9457 with the members an honest shop adds. Anything may be missing or of the wrong type."""

    type: object = None
    reference: object = None
    safe_to_retry: object = None
    retry_after_s: object = None
    contact: object = None


class Failure(msgspec.Struct, frozen=True):
    """A request that was not answered as promised (neither declined nor sold out: those are answers)."""

    kind: FailureKind
    """`timeout`: no answer in time. `refused`: not let in (connection refused, 429, 503). `error`: all else."""
    definite: bool
    """True: certainly not done. False: it may have happened."""
    status: int
    problem: str
    """Last word of the problem's type, `overloaded`; else how the exchange broke, or `http-502`, or `wrong-answer`."""
    reference: str = ""
    safe_to_retry: bool | None = None
    retry_after_s: float | None = None
    honest: bool = False
    """It was problem+json with a reference, a contact and a yes or no on trying again."""
    detail: str = ""
    """For people."""

    @property
    def is_key_conflict(self) -> bool:
        """It says that the key was used for something else, or is in somebody's way; 409 has other uses, too."""
        if self.status == 409:
            return not self.honest or "idempotency" in self.problem or "conflict" in self.problem
        return self.status == 422


def failure_of(answer: Answer) -> Failure:
    """Read a failed answer. Whatever is not a proper promise is taken as none: it may have happened."""
    if answer.broke:
        return _broken(answer)
    problem = _problem(answer)
    kind: FailureKind = "refused" if answer.status in (429, 503) else "error"
    if problem is None:
        word = "wrong-answer" if answer.status < 400 else f"http-{answer.status}"
        return Failure(kind, definite=False, status=answer.status, problem=word, detail=excerpt(answer.body))
    reference, contact = text(problem.reference), text(problem.contact)
    safe = problem.safe_to_retry if isinstance(problem.safe_to_retry, bool) else None
    return Failure(
        kind,
        definite=answer.status == 503 or 400 <= answer.status < 500,
        status=answer.status,
        problem=text(problem.type).rstrip("/").rpartition("/")[2] or f"http-{answer.status}",
        reference=reference,
        safe_to_retry=safe,
        retry_after_s=_seconds(problem.retry_after_s),
        honest=bool(reference) and bool(contact) and safe is not None,
    )


def wrong_answer(answer: Answer, what: str) -> Failure:
    """A 2xx whose content is not what was promised: nobody can say what was done."""
    return Failure("error", definite=False, status=answer.status, problem="wrong-answer", detail=what)


def _broken(answer: Answer) -> Failure:
    kinds: dict[str, FailureKind] = {"timeout": "timeout", "refused": "refused"}
    kind = kinds.get(answer.broke, "error")
    return Failure(kind, definite=not answer.sent, status=answer.status, problem=answer.broke, detail=answer.detail)


def _problem(answer: Answer) -> _Problem | None:
    if answer.status < 400 or not answer.content_type.lower().startswith("application/problem+json"):
        return None
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def text(value: object) -> str:
    """The shop's text, shortened and made fit for a record; empty where it is no text."""
    if not isinstance(value, str):
        return ""
    return value[:TEXT_MAX].encode("utf-8", "replace").decode("utf-8").strip()


def excerpt(body: bytes) -> str:
    """The beginning of a body, for people."""
    return body[:80].decode("utf-8", "replace")


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 86_400:
        return None
    return float(value)
