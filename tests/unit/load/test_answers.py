from __future__ import annotations

import json

import pytest

from crashcart.loadkit.answers import TEXT_MAX, Answer, failure_of
from tests.unit.load.fakes import problem


def html(status: int) -> Answer:
    return Answer(status=status, body=b"<html>Bad Gateway</html>", content_type="text/html")


@pytest.mark.parametrize(
    ("answer", "kind", "definite", "word"),
    [
        (Answer(broke="timeout", sent=True), "timeout", False, "timeout"),
        (Answer(broke="timeout", sent=False), "timeout", True, "timeout"),
        (Answer(broke="refused", sent=False), "refused", True, "refused"),
        (Answer(broke="reset", sent=True), "error", False, "reset"),
        (Answer(broke="garbled"), "error", False, "garbled"),
        (Answer(status=200, broke="too-large"), "error", False, "too-large"),
        (problem(503, "overloaded"), "refused", True, "overloaded"),
        (problem(503, "ordering-closed", safe=False), "refused", True, "ordering-closed"),
        (problem(429, "slow-down"), "refused", True, "slow-down"),
        (problem(504, "order-pending"), "error", False, "order-pending"),
        (problem(500, "internal"), "error", False, "internal"),
        (problem(409, "price-changed", safe=False), "error", True, "price-changed"),
        (problem(422, "idempotency-key-reused", safe=False), "error", True, "idempotency-key-reused"),
        (html(502), "error", False, "http-502"),
        (html(503), "refused", False, "http-503"),
        (Answer(status=503), "refused", False, "http-503"),
        (Answer(status=500, body=b"", content_type="application/problem+json"), "error", False, "http-500"),
        (Answer(status=204), "error", False, "wrong-answer"),
        (Answer(status=302, body=b"moved"), "error", False, "wrong-answer"),
    ],
)
def test_every_failed_answer_is_classified(answer: Answer, kind: str, definite: bool, word: str) -> None:
    failure = failure_of(answer)
    assert (failure.kind, failure.definite, failure.problem) == (kind, definite, word)


def test_an_honest_failure_names_a_reference_a_contact_and_a_word_on_retrying() -> None:
    failure = failure_of(problem(503, "overloaded", retry_after_s=1.5))
    assert failure.honest
    assert (failure.reference, failure.safe_to_retry, failure.retry_after_s) == ("R-0123456789", True, 1.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": ""},
        {"reference": None},
        {"reference": 12},
        {"contact": "  "},
        {"contact": None},
        {"safe_to_retry": None},
        {"safe_to_retry": "yes"},
        {"safe_to_retry": 1},
    ],
)
def test_a_failure_that_leaves_one_of_them_out_is_not_honest(changes: dict[str, object]) -> None:
    assert not failure_of(problem(503, "overloaded", **changes)).honest


def test_what_is_not_problem_json_is_not_honest_whatever_it_says() -> None:
    body = problem(503, "overloaded").body
    assert not failure_of(Answer(status=503, body=body, content_type="application/json")).honest


@pytest.mark.parametrize("retry_after_s", [-1, True, "3", None, 1e9, [2], float("1e400")])
def test_a_senseless_pause_is_no_pause(retry_after_s: object) -> None:
    assert failure_of(problem(503, "overloaded", retry_after_s=retry_after_s)).retry_after_s is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"type": "\xff\xff"}',
        b'{"type": {"deep": []}, "reference": [1], "contact": {}}',
        b'"just text"',
        b"[]",
        b"null",
        b"NaN",
        b"1" * 100_000,
        b'{"type":"\\ud800","reference":"\\udfff"}',
    ],
)
def test_hostile_bodies_never_crash_the_reading(body: bytes) -> None:
    for status in (200, 402, 409, 500, 503):
        failure = failure_of(Answer(status=status, body=body, content_type="application/problem+json"))
        assert not failure.honest
        json.dumps(failure.problem).encode()


def test_the_shops_text_is_shortened_and_always_fit_for_a_record() -> None:
    failure = failure_of(problem(503, "x" * 5000, reference="R\n" * 5000))
    assert len(failure.problem) <= TEXT_MAX
    assert len(failure.reference) <= TEXT_MAX
