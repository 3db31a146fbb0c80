"""What a shopper saw of a request that failed, in a line for people. Bounded, whatever the shop sends."""

from __future__ import annotations

import re

from crashcart.loadkit.answers import Answer, Failure, Request

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,30}/[a-z0-9.+-]{1,30}")
_NAME_MAX = 60
_WHY_MAX = 80
_BROKE = {
    "timeout": "{} was not answered in time",
    "refused": "the connection for {} was refused",
    "reset": "the connection for {} was lost before it was answered",
    "garbled": "the answer of {} is no HTTP",
    "too-large": "the answer of {} is too large",
}


def what_was_seen(request: Request, answer: Answer, failure: Failure, why: str = "") -> str:
    """`the answer of POST /orders (200, text/html) is wrong: it is no JSON`; at most 250 characters, without a newline.

    `why`: what is wrong with the content of an answer whose status is good, where somebody looked.
    """
    asked = _one_line(f"{request.method} {request.name}", _NAME_MAX)
    if answer.broke:
        return _BROKE[answer.broke].format(asked)
    status = f"{answer.status}, {_media_type(answer.content_type)}"
    if why:
        return f"the answer of {asked} ({status}) is wrong: {_one_line(why, _WHY_MAX)}"
    if failure.problem in ("wrong-answer", f"http-{answer.status}"):
        return f"{asked} was answered with what nobody expected ({status})"
    return f"{asked} was answered {answer.status} ({_one_line(failure.problem, _WHY_MAX)})"


def _media_type(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if _MEDIA_TYPE.fullmatch(kind):
        return kind
    return "an odd content type" if kind else "no content type"


def _one_line(text: str, longest: int) -> str:
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
