from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.desk import Done, Wrong
from crashcart.loadkit.files import RecordNotWritten
from crashcart.loadkit.intents import NOT_STARTED, Ending
from crashcart.loadkit.plain import PlainBehaviour, PlainShop
from crashcart.loadkit.retries import Retries
from tests.unit.load.fakes import Rig, in_turn, ok, problem

PAGE = Request("GET", "/products/G1", "/products/[sku]")
HABIT = Retries(tries_max=3, pause_s=0.1, pause_max_s=1.0)
TIMEOUT = Answer(broke="timeout")


def shown(answer: Answer) -> Any:
    if answer.status == 200 and answer.body == b'"wrong"':
        raise Wrong("not the page that was asked for")
    return answer.body if answer.status == 200 else None


def errand(rig: Rig, *, intended_s: float = 0.0, until_s: float = 60.0) -> Done[Any]:
    return rig.desk.errand("browse", PAGE, shown, intended_s=intended_s, timeout_s=3.0, until_s=until_s, retries=HABIT)


def test_latency_counts_from_when_the_shopper_meant_to_ask(tmp_path: Path) -> None:
    """The load was two seconds late: the shopper waited for those too."""
    rig = Rig(tmp_path, in_turn([ok("page")]), buys=False)
    rig.clock.at_s = 12.0
    errand(rig, intended_s=10.0)
    counted = rig.counted()
    assert counted['shopper_latency_seconds_bucket{sli="browse",cohort="all",phase="baseline",le="+Inf"}'] == 1
    assert 'shopper_latency_seconds_bucket{sli="browse",cohort="all",phase="baseline",le="2"}' not in counted


def test_an_event_belongs_to_the_phase_it_was_meant_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([TIMEOUT, TIMEOUT, TIMEOUT]), buys=False)
    rig.clock.at_s = 29.99
    errand(rig, intended_s=29.9)
    assert rig.counted()['shopper_events_total{sli="browse",outcome="timeout",phase="baseline",cohort="all"}'] == 1


def test_an_operation_with_its_retries_is_one_event_and_each_failed_try_one_failure(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([problem(503, "overloaded"), Answer(broke="reset"), ok("page")]), buys=False)
    assert errand(rig).value == b'"page"'
    counted = rig.counted()
    assert counted['shopper_events_total{sli="browse",outcome="ok",phase="warmup",cohort="all"}'] == 1
    assert counted['shopper_failures_total{honest="yes",phase="warmup",cohort="all"}'] == 1
    assert counted['shopper_failures_total{honest="no",phase="warmup",cohort="all"}'] == 1
    assert rig.problems == ["overloaded", "reset", ""]


def test_the_last_failure_names_the_outcome(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([Answer(broke="reset"), Answer(broke="reset"), problem(503, "overloaded")]), buys=False)
    done = errand(rig)
    assert done.failure is not None
    assert done.failure.problem == "overloaded"
    assert rig.counted()['shopper_events_total{sli="browse",outcome="refused",phase="warmup",cohort="all"}'] == 1


def test_no_try_begins_after_patience_has_ended_and_none_outlasts_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([TIMEOUT, TIMEOUT]), buys=False)
    done = errand(rig, until_s=4.0)
    assert rig.transport.timeouts_s[0] == 3.0
    assert rig.transport.timeouts_s[1] < 1.0
    assert done.done_s == pytest.approx(4.0)


def test_good_status_with_wrong_content_is_an_error(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([ok("wrong")] * 3), buys=False)
    done = errand(rig)
    assert done.failure is not None
    assert (done.failure.kind, done.failure.problem, done.failure.definite) == ("error", "wrong-answer", False)


@pytest.mark.parametrize(
    ("second", "honest"),
    [
        (problem(409, "key-conflict", safe=False), "no"),
        (problem(409, "order-failed", safe=False), "yes"),
        (ok("page"), "yes"),
    ],
)
def test_safe_to_try_again_is_only_honest_where_trying_again_was_no_conflict(
    tmp_path: Path, second: Answer, honest: str
) -> None:
    rig = Rig(tmp_path, in_turn([problem(503, "overloaded"), second]), buys=False)
    errand(rig)
    judged = {name for name in rig.counted() if name.startswith(f'shopper_failures_total{{honest="{honest}"')}
    assert judged
    assert honest == "no" or not [name for name in rig.counted() if 'honest="no"' in name]


def test_an_intent_is_on_disk_when_it_is_drawn(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([]), planned_s=31.0)
    (drawn,) = rig.intents()
    assert drawn == {
        "r": "intent",
        "id": rig.shopper.key,
        "sli": "purchase",
        "session": 3,
        "phase": "fault",
        "planned_s": 31.0,
        "cohorts": {"business_line": "general", "network": "amex"},
        "state": "drawn",
    }
    assert rig.counted()['shopper_intended_total{phase="fault",cohort="network:amex"}'] == 1


def test_who_does_not_buy_leaves_no_intent(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([]), buys=False)
    rig.desk.end_intent(Ending("blocked"))
    assert rig.intents() == []
    assert rig.counted() == {}


def test_an_intent_ends_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([]))
    rig.desk.end_intent(Ending("ok", latency_ms=20.0, attempts=1, status=201, order_id="o"))
    rig.desk.end_intent(Ending("failed"))
    assert rig.ending()["outcome"] == "ok"


def test_a_finished_purchase_counts_from_its_planned_time_and_in_its_planned_phase(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([]), planned_s=9.9)
    rig.clock.at_s = 10.1
    rig.desk.end_intent(Ending("ok", latency_ms=20.0, attempts=1))
    counted = rig.counted()
    assert counted['shopper_events_total{sli="purchase",outcome="ok",phase="warmup",cohort="all"}'] == 1
    labels = 'sli="purchase",cohort="all",phase="warmup"'
    assert counted[f'shopper_latency_seconds_bucket{{{labels},le="0.25"}}'] == 1
    assert f'shopper_latency_seconds_bucket{{{labels},le="0.1"}}' not in counted


@pytest.mark.parametrize(("sends", "outcome"), [(0, "blocked"), (1, "unknown")])
def test_what_the_load_itself_cuts_short_is_blocked_or_unknown_and_says_why(
    tmp_path: Path, sends: int, outcome: str
) -> None:
    rig = Rig(tmp_path, in_turn([]))
    for _ in range(sends):
        rig.desk.about_to_send(intended_s=1.0, what={})
    rig.desk.abandon_intent(NOT_STARTED)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == (outcome, NOT_STARTED)


def test_a_send_that_cannot_be_written_down_is_not_counted_as_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([]))
    rig.office.intents.close()
    with pytest.raises(RecordNotWritten):
        rig.desk.about_to_send(intended_s=1.0, what={})
    assert rig.desk.attempts == 0


def test_nothing_is_drawn_from_the_retry_stream_while_all_goes_well(tmp_path: Path) -> None:
    untouched = Rig(tmp_path, in_turn([ok("page")]), buys=False)
    errand(untouched)
    assert untouched.desk.retry_random.random() == untouched.shopper.stream("retry").random()


PLAIN = PlainShop(order=lambda _: {}, order_id=lambda answer: str(answer["order_id"]), total_cents=100)
HTML = Answer(200, b"<h1>Hello</h1>", "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("page", "order", "saw"),
    [
        (
            HTML,
            Answer(201, HTML.body, "text/html"),
            "the answer of POST /orders (201, text/html) is wrong: it is no JSON",
        ),
        (
            HTML,
            ok({"id": 1}, 201),
            "the answer of POST /orders (201, application/json) is wrong: its JSON has no 'order_id'",
        ),
        (
            HTML,
            Answer(201, b"[" * 100_000, "a\x1b[1m/b"),
            "the answer of POST /orders (201, an odd content type) is wrong: it is no JSON",
        ),
        (HTML, ok({"order_id": 1}), "POST /orders was answered with what nobody expected (200, application/json)"),
        (HTML, Answer(500, b"oh", ""), "POST /orders was answered with what nobody expected (500, no content type)"),
        (HTML, problem(503, "over\x1b[1mloaded"), "POST /orders was answered 503 (over [1mloaded)"),
        (HTML, TIMEOUT, "POST /orders was not answered in time"),
        (Answer(broke="garbled", detail="\x00"), None, "the answer of GET / is no HTTP"),
    ],
)
def test_a_purchase_that_came_to_nothing_says_what_the_shopper_saw(
    tmp_path: Path, page: Answer, order: Answer | None, saw: str
) -> None:
    rig = Rig(tmp_path, in_turn([page, *([order] if order else [])]))
    PlainBehaviour(PLAIN).plan(rig.shopper).run(rig.desk)
    assert rig.ending()["saw"] == saw


def test_what_the_shop_says_is_kept_short(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([HTML, ok({"id": 1}, 201)]))
    odd = PlainShop(
        order=lambda _: {}, order_id=lambda answer: str(answer["o" * 9999]), total_cents=1, order_path="/" * 999
    )
    PlainBehaviour(odd).plan(rig.shopper).run(rig.desk)
    assert 100 < len(rig.ending()["saw"]) <= 250


def test_a_failure_that_was_got_over_does_not_explain_how_the_purchase_ended(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([TIMEOUT, ok("page")]))
    errand(rig)
    rig.desk.end_intent(Ending("gave_up", problem="too-slow"))
    assert rig.ending()["saw"] == ""
