from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, get_args

import duckdb
import msgspec
import pytest
from gevent.event import Event

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.intents import Ending
from crashcart.loadkit.metrics import ShopperMetrics
from crashcart.loadkit.shoppers import read_program
from loadtests.checkout import DoubleClickResult, Order, place
from loadtests.mix import Mix, read_mix
from tests.unit.load.fakes import COHORTS, Rig, Script, in_turn, ok, problem, read_lines, samples

ROOT = Path(__file__).parents[3]
LOAD_YAML = ROOT / "loadtests" / "load.yaml"
DOUBLE_CLICK_SQL = ROOT / "stack" / "truth" / "invariants" / "a-double-click-is-one-order.sql"
MIX: Mix = read_mix(read_program(LOAD_YAML), {})

ACCEPTED = ok({"order_id": "o-1", "reference": "R-1", "state": "accepted", "total_cents": 4200}, 201)
DECLINED = problem(402, "declined", safe=False)
SOLD_OUT = problem(409, "sold-out", safe=False, skus=["G1"])
DEARER = problem(409, "price-changed", safe=False, total_cents=4300)
CHEAPER = problem(409, "price-changed", safe=False, total_cents=4200)
PENDING = problem(504, "order-pending")
FAILED = problem(409, "order-failed", safe=False)
CLOSED = problem(503, "ordering-closed", safe=False)
BUSY = problem(503, "overloaded")
TIMEOUT = Answer(broke="timeout")
RESET = Answer(broke="reset")
REFUSED = Answer(broke="refused", sent=False)
HTML = Answer(status=502, body=b"<html>", content_type="text/html")


def buy(rig: Rig, *, double_click: bool = False) -> dict[str, Any]:
    order = Order.of(rig.shopper, "cart-1", {"G1": 2}, 4200)
    rig.clock.at_s = 1.0
    rig.desk.end_intent(place(rig.desk, order, MIX, intended_s=1.0, double_click=double_click))
    return rig.ending()


def outcomes(rig: Rig, sli: str) -> Mapping[str, float]:
    start, end = f'shopper_events_total{{sli="{sli}",outcome="', '",phase="warmup",cohort="all"}'
    counted = {name: value for name, value in rig.counted().items() if name.startswith(start) and name.endswith(end)}
    return {name.removeprefix(start).removesuffix(end): value for name, value in counted.items()}


@pytest.mark.parametrize(
    ("answers", "outcome", "checkout", "sends"),
    [
        ([ACCEPTED], "ok", "ok", 1),
        ([ok({"order_id": "o-1", "reference": "R", "state": "accepted", "total_cents": 4200})], "ok", "ok", 1),
        ([DECLINED], "declined", "declined", 1),
        ([SOLD_OUT], "sold_out", "sold_out", 1),
        ([BUSY, ACCEPTED], "ok", "ok", 2),
        ([TIMEOUT, ACCEPTED], "ok", "ok", 2),
        ([PENDING, PENDING, ACCEPTED], "ok", "ok", 3),
        ([RESET, DECLINED], "declined", "declined", 2),
        # certainly not done: the shop said so each time, or was never reached
        ([CLOSED], "failed", "refused", 1),
        ([BUSY] * 4, "failed", "refused", 4),
        ([REFUSED] * 4, "failed", "refused", 4),
        ([REFUSED, BUSY, REFUSED, BUSY], "failed", "refused", 4),
        ([problem(409, "price-changed", safe=False)], "failed", "error", 1),
        ([problem(409, "price-changed", safe=False, total_cents="much")], "failed", "error", 1),
        # another total is agreed to, as on a page that shows it; not for ever
        (
            [DEARER, ok({"order_id": "o-1", "reference": "R-1", "state": "accepted", "total_cents": 4300}, 201)],
            "ok",
            "ok",
            2,
        ),
        ([DEARER, ACCEPTED, CLOSED], "unknown", "refused", 3),
        ([DEARER, CHEAPER, DEARER, CHEAPER], "failed", "error", 4),
        ([problem(422, "idempotency-key-reused", safe=False)], "failed", "error", 1),
        ([problem(404, "cart-empty", safe=False)], "failed", "error", 1),
        # it may have happened
        ([TIMEOUT, TIMEOUT], "unknown", "timeout", 2),
        ([PENDING] * 4, "unknown", "error", 4),
        ([RESET, RESET, RESET, RESET], "unknown", "error", 4),
        ([HTML] * 4, "unknown", "error", 4),
        ([Answer(status=201)] * 4, "unknown", "error", 4),
        ([Answer(broke="garbled")] * 4, "unknown", "error", 4),
        ([Answer(status=201, broke="too-large")] * 4, "unknown", "error", 4),
        # a clear no after a try that may have been done does not make that try undone
        ([RESET, BUSY, BUSY, BUSY], "unknown", "refused", 4),
        ([RESET, CLOSED], "unknown", "refused", 2),
        ([PENDING, problem(404, "cart-empty", safe=False)], "unknown", "error", 2),
        # but the shop's last word on that very order counts
        ([PENDING, problem(409, "order-failed", safe=False)], "failed", "error", 2),
        ([TIMEOUT, problem(409, "order-cancelled", safe=False)], "failed", "error", 2),
    ],
)
def test_every_story_of_an_order_ends_as_it_must(
    tmp_path: Path, answers: Sequence[Answer], outcome: str, checkout: str, sends: int
) -> None:
    rig = Rig(tmp_path, in_turn(answers))
    ending = buy(rig)
    assert ending["outcome"] == outcome
    assert ending["attempts"] == sends
    assert outcomes(rig, "purchase") == {outcome: 1}
    assert outcomes(rig, "checkout") == {checkout: 1}


@pytest.mark.parametrize(
    "body",
    [
        {"order_id": "", "reference": "R-1", "state": "accepted", "total_cents": 4200},
        {"order_id": "o", "reference": "", "state": "accepted", "total_cents": 4200},
        {"order_id": "o", "reference": "R-1", "state": "placed", "total_cents": 4200},
        {"order_id": "o", "reference": "R-1", "state": "accepted", "total_cents": 4300},
        {"order_id": 5, "reference": "R-1", "state": "accepted", "total_cents": 4200},
        ["accepted"],
    ],
)
def test_accepted_but_not_the_order_that_was_sent_is_unknown(tmp_path: Path, body: object) -> None:
    ending = buy(Rig(tmp_path, in_turn([ok(body, 201)] * 4)))
    assert (ending["outcome"], ending["problem"]) == ("unknown", "wrong-answer")


@pytest.mark.parametrize("status", [402, 409])
def test_no_reason_of_business_is_taken_from_an_answer_without_one(tmp_path: Path, status: int) -> None:
    answer = Answer(status=status, body=b"<h1>no</h1>", content_type="text/html")
    assert buy(Rig(tmp_path, in_turn([answer])))["outcome"] == "unknown"


def test_each_send_is_on_disk_with_key_and_lines_before_it_leaves(tmp_path: Path) -> None:
    seen: list[list[dict[str, Any]]] = []
    answers = [BUSY, TIMEOUT, ACCEPTED]

    def script(request: Request) -> Answer:
        seen.append([record for record in read_lines(tmp_path / "intents.jsonl") if record["r"] == "send"])
        return answers[len(seen) - 1]

    rig = Rig(tmp_path, script)
    buy(rig)
    assert [len(sends) for sends in seen] == [1, 2, 3]
    last = seen[-1][-1]
    assert (last["id"], last["attempt"]) == (rig.shopper.key, 3)
    assert (last["lines"], last["total_cents"], last["network"]) == ([["G1", 2]], 4200, "amex")
    assert last["intended_s"] <= last["sent_s"]


def test_every_try_carries_the_same_key_and_the_same_bytes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([RESET, BUSY, ACCEPTED]))
    buy(rig)
    assert len({(request.headers, request.body) for request in rig.transport.requests}) == 1
    headers = dict(rig.transport.requests[0].headers)
    assert headers["Idempotency-Key"] == rig.shopper.key
    assert headers["X-Cohort"] == "business_line:general,network:amex"
    body = msgspec.json.decode(rig.transport.requests[0].body)
    assert (body["cart_id"], body["total_cents"], body["card"]["network"]) == ("cart-1", 4200, "amex")


def test_an_order_that_timed_out_is_asked_about_within_the_patience_that_is_left(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([TIMEOUT, TIMEOUT]))
    ending = buy(rig)
    assert rig.transport.timeouts_s[0] == MIX.patience_s.order
    assert rig.clock.at_s == pytest.approx(1.0 + MIX.patience_s.checkout)
    assert ending["latency_ms"] == pytest.approx(MIX.patience_s.checkout * 1000)


def test_the_ending_tells_what_the_shopper_was_told(tmp_path: Path) -> None:
    ending = buy(Rig(tmp_path, in_turn([BUSY, ACCEPTED])))
    assert (ending["status"], ending["reference"], ending["order_id"]) == (201, "R-1", "o-1")
    closed = tmp_path / "closed"
    closed.mkdir()
    ending = buy(Rig(closed, in_turn([CLOSED])))
    assert (ending["status"], ending["problem"], ending["safe_to_retry"]) == (503, "ordering-closed", False)
    assert ending["reference"] == "R-0123456789"


@pytest.mark.parametrize(
    ("answers", "outcome", "compared", "sends"),
    [
        ([ACCEPTED, ACCEPTED], "ok", "same", 2),
        ([DECLINED, DECLINED], "declined", "same", 2),
        ([ACCEPTED, PENDING], "ok", "one-answer", 2),
        ([RESET, ACCEPTED], "ok", "one-answer", 2),
        ([BUSY, ACCEPTED], "ok", "one-answer", 2),
        ([TIMEOUT, ACCEPTED], "ok", "one-answer", 2),
        ([ACCEPTED, HTML], "ok", "one-answer", 2),
        ([ACCEPTED, problem(500, "broken", safe=False)], "ok", "one-answer", 2),
        ([ACCEPTED, DEARER], "ok", "one-answer", 2),
        ([DECLINED, FAILED], "declined", "one-answer", 2),
        # accepted, and then again it is not
        ([ACCEPTED, FAILED], "ok", "contradicted", 2),
        ([FAILED, ACCEPTED], "ok", "contradicted", 2),
        ([ACCEPTED, problem(409, "order-cancelled", safe=False)], "ok", "contradicted", 2),
        ([problem(404, "cart-empty", safe=False), ACCEPTED], "ok", "contradicted", 2),
        ([ACCEPTED, DECLINED], "ok", "different", 2),
        ([BUSY, PENDING, ACCEPTED], "ok", "no-answer", 3),
    ],
)
def test_two_clicks_with_one_key_end_as_one_intent(
    tmp_path: Path, answers: Sequence[Answer], outcome: str, compared: str, sends: int
) -> None:
    rig = Rig(tmp_path, in_turn(answers))
    ending = buy(rig, double_click=True)
    assert (ending["outcome"], ending["double_click"], ending["attempts"]) == (outcome, compared, sends)
    assert sum(outcomes(rig, "checkout").values()) == 1
    assert rig.counted()[f'shopper_double_clicks_total{{result="{compared}"}}'] == 1


def test_two_clicks_are_on_their_way_at_once(tmp_path: Path) -> None:
    second_click, clicks = Event(), count(1)

    def script(request: Request) -> Answer:
        if next(clicks) == 1:
            assert second_click.wait(timeout=5), "the first answer came before the second click"
        second_click.set()
        return ACCEPTED

    assert buy(Rig(tmp_path, script), double_click=True)["double_click"] == "same"


def test_two_orders_for_one_key_are_said_aloud(tmp_path: Path) -> None:
    other = ok({"order_id": "o-2", "reference": "R-2", "state": "accepted", "total_cents": 4200}, 201)
    rig = Rig(tmp_path, in_turn([ACCEPTED, other]))
    ending = buy(rig, double_click=True)
    assert (ending["outcome"], ending["double_click"]) == ("ok", "different")
    assert rig.counted()['shopper_double_clicks_total{result="different"}'] == 1
    assert rig.metrics.different_orders == 1


def test_whatever_two_clicks_can_be_told_is_counted_and_a_contradiction_is_a_witness() -> None:
    words = [word for word in get_args(DoubleClickResult) if word]
    sql, _ = DOUBLE_CLICK_SQL.read_text(encoding="utf-8").split("-- examined:")
    with duckdb.connect() as books:
        books.execute("CREATE TABLE intents (reference VARCHAR, id VARCHAR, outcome VARCHAR, order_id VARCHAR)")
        books.execute("ALTER TABLE intents ADD COLUMN double_click VARCHAR")
        rows = [("R-1", word, "ok", "o-1", word) for word in words]
        books.executemany("INSERT INTO intents VALUES (?, ?, ?, ?, ?)", rows)
        witnesses = books.execute(sql).fetchall()
    assert {(row[1], row[-1]) for row in witnesses} == {(word, word) for word in ("different", "contradicted")}
    metrics = ShopperMetrics(cohorts=COHORTS, phases=["warmup"], outcomes={})
    assert {f'shopper_double_clicks_total{{result="{word}"}}' for word in words} <= set(samples(metrics))


@pytest.mark.parametrize(
    ("answers", "honest", "dishonest"),
    [
        ([BUSY, ACCEPTED], 1, 0),
        ([BUSY, SOLD_OUT], 1, 0),
        ([BUSY, problem(422, "idempotency-key-reused", safe=False)], 1, 1),
        ([BUSY, problem(409, "order-failed", safe=False)], 2, 0),
        ([BUSY, Answer(status=409)], 0, 2),
        ([TIMEOUT, ACCEPTED], 0, 1),
        ([PENDING, HTML, ACCEPTED], 1, 1),
        ([DECLINED], 0, 0),
        ([SOLD_OUT], 0, 0),
    ],
)
def test_each_failed_try_is_judged_for_its_honesty(
    tmp_path: Path, answers: Sequence[Answer], honest: int, dishonest: int
) -> None:
    rig = Rig(tmp_path, in_turn(answers))
    buy(rig)
    counted = rig.counted()
    assert counted.get('shopper_failures_total{honest="yes",phase="warmup",cohort="all"}', 0) == honest
    assert counted.get('shopper_failures_total{honest="no",phase="warmup",cohort="all"}', 0) == dishonest


def test_a_retry_draws_from_its_own_stream_alone(tmp_path: Path) -> None:
    """Two shoppers, one in trouble and one not: what else they would do stays the same."""
    scripts: list[Script] = [in_turn([ACCEPTED]), in_turn([BUSY, BUSY, ACCEPTED])]
    baskets = []
    for number, script in enumerate(scripts):
        out = tmp_path / str(number)
        out.mkdir()
        rig = Rig(out, script)
        buy(rig)
        baskets.append([rig.shopper.stream(purpose).random() for purpose in ("who", "basket", "walk")])
    assert baskets[0] == baskets[1]


def test_an_ending_knows_no_latency_where_nothing_was_sent() -> None:
    assert Ending("blocked").latency_ms is None


def test_a_new_total_is_agreed_to_under_the_same_key_and_written_down_before_it_is_sent(tmp_path: Path) -> None:
    rig = Rig(tmp_path, in_turn([DEARER, problem(402, "declined", safe=False)]))
    assert buy(rig)["outcome"] == "declined"
    first, second = rig.transport.sent_to("/orders")
    assert first.headers == second.headers
    assert msgspec.json.decode(second.body) == {**msgspec.json.decode(first.body), "total_cents": 4300}
    assert [record["total_cents"] for record in rig.intents() if record["r"] == "send"] == [4200, 4300]
    assert not any(value for name, value in rig.counted().items() if name.startswith("shopper_failures_total"))
