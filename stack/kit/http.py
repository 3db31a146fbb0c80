"""Requests and responses as handlers see them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from stack.kit.context import DEFAULT_DEADLINE_S, Work
from stack.kit.problems import Problem, bad_request

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_MAX_DEADLINE_S = 60.0

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
PROBLEM = b"application/problem+json"


class Request:
    """One request, whole: `path` is still percent-encoded, `params` (the `{name}` parts of the route) are decoded.

    Header names are lower-case bytes; `header()` gives text. `body` is at most the service's limit.
    """

    __slots__ = ("_work", "body", "headers", "method", "params", "path", "query_string", "started")

    def __init__(self, method: str, path: str, query_string: str, headers: dict[bytes, bytes], body: bytes) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.body = body
        self.params: Mapping[str, str] = {}
        self.started = monotonic()
        self._work: Work | None = None

    @property
    def work(self) -> Work:
        """Reference, deadline and cohort, from X-Reference (else Idempotency-Key), X-Deadline-Ms and X-Cohort."""
        if self._work is None:
            headers = self.headers
            self._work = Work(
                _text(headers.get(b"x-reference")),
                self.started + _deadline_s(headers.get(b"x-deadline-ms")),
                _text(headers.get(b"x-cohort")),
                _text(headers.get(b"idempotency-key")),
            )
        return self._work

    @property
    def reference(self) -> str:
        """The reference of this request; one is made up where none came."""
        return self.work.reference

    def header(self, name: str) -> str | None:
        """A header's value by its lower-case name."""
        value = self.headers.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def idempotency_key(self) -> str:
        """The Idempotency-Key of a write: 1 to 200 visible ASCII characters, else a 400 problem."""
        value = self.headers.get(b"idempotency-key", b"")
        key = value.decode("latin-1")
        if not 0 < len(key) <= 200 or not key.isascii() or not key.isprintable() or " " in key:
            raise bad_request("a write needs an Idempotency-Key header of 1 to 200 visible ASCII characters")
        return key

    def query(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        for key, value in parse_qsl(self.query_string, keep_blank_values=True):
            if key == name:
                return value
        return default

    def json(self) -> Any:
        """The body as JSON; a 400 problem when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"the body is not JSON: {error}") from error

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; a 400 problem when it is anything else."""
        value = self.json()
        if not isinstance(value, dict):
            raise bad_request("the body must be a JSON object")
        return value


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value else None


def _deadline_s(header: bytes | None) -> float:
    if header is None:
        return DEFAULT_DEADLINE_S
    try:
        return min(int(header) / 1000.0, _MAX_DEADLINE_S)
    except ValueError as error:
        raise bad_request("X-Deadline-Ms must be a whole number of milliseconds") from error


class Response:
    """An answer. Everything but the status line is encoded once, so a Response may be kept and sent many times."""

    __slots__ = ("body", "head", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        content_type: bytes = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        head = b"%bcontent-type: %b\r\ncontent-length: %d\r\n" % (_STATUS_LINES[status], content_type, len(body))
        if headers:
            for name, value in headers.items():
                if "\n" in value or "\r" in value:
                    raise ValueError(f"header {name} holds a line break")
                head += f"{name}: {value}\r\n".encode("latin-1")
        self.head = head


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(orjson.dumps(value), status, JSON, headers)


def problem_response(problem: Problem, reference: str) -> Response:
    """An answer of problem+json with its reference in body and header."""
    headers = {"x-reference": reference}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(problem.retry_after_s)))
    return Response(problem.body(reference), problem.status, PROBLEM, headers)


def decoded(segment: str) -> str:
    """A percent-decoded path segment."""
    return unquote(segment) if "%" in segment else segment
