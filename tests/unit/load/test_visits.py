from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.run import NotReady
from crashcart.loadkit.shoppers import Crowd, Shopper, read_program
from crashcart.model.errors import UsageError
from loadtests.catalogue import Shelf
from loadtests.mix import read_mix
from loadtests.shoppers import Shoppers, Visit
from tests.unit.load.fakes import FakeClock, FakeTransport, Rig, ok, problem, shopper

LOAD_YAML = Path(__file__).parents[3] / "loadtests" / "load.yaml"
PROGRAM = read_program(LOAD_YAML)
MIX = read_mix(PROGRAM, {})
LINES = ("general", "photo")

CATALOGUE = [
    {"sku": f"{'P' if rank % 10 == 9 else 'G'}{rank:05d}", "price_cents": 100 + rank, "business_line": line}
    for rank in range(1000)
    for line in ("photo" if rank % 10 == 9 else "general",)
]


class SmallShop:
    """A shop that works, but for what a test breaks."""

    def __init__(self, broken: Callable[[Request], Answer | None] = lambda _request: None) -> None:
        self._broken = broken
        self._cart: dict[str, int] = {}

    def __call__(self, request: Request) -> Answer:
        broken = self._broken(request)
        if broken is not None:
            return broken
        if request.path.startswith("/products/"):
            sku = request.path.removeprefix("/products/")
            return ok({"sku": sku, "name": "a thing", "price_cents": 100})
        if request.path == "/":
            return Answer(status=200, body=b"<h1>shop</h1>", content_type="text/html")
        if request.path.startswith("/search"):
            return ok({"items": []})
        if request.path == "/catalogue":
            return ok({"skus_by_rank": CATALOGUE})
        body = json.loads(request.body)
        if request.path.startswith("/carts/"):
            self._cart.update({line["sku"]: line["quantity"] for line in body["lines"]})
            return ok({"cart_id": "c", "lines": self._lines(), "total_cents": 100 * sum(self._cart.values())})
        placed = {"order_id": "o-1", "reference": "R-1", "state": "accepted", "total_cents": body["total_cents"]}
        return ok(placed, 201)

    def _lines(self) -> list[dict[str, Any]]:
        return [{"sku": sku, "quantity": quantity, "price_cents": 100} for sku, quantity in self._cart.items()]


@pytest.fixture(scope="module")
def shoppers() -> Shoppers:
    ready = Shoppers(MIX, LINES)
    ready.prepare(FakeTransport(FakeClock(), SmallShop()))
    return ready


def crowd(count: int) -> list[Shopper]:
    drawn = Crowd(PROGRAM, seed=7, salt="")
    return [drawn.draw(number, 0.0) for number in range(count)]


def visit(rig: Rig, shoppers: Shoppers) -> Visit:
    planned = shoppers.plan(rig.shopper)
    rig.desk = Desk(rig.office, rig.shopper, planned.purchase_planned_s)
    planned.run(rig.desk)
    return planned


def only(name: str, answer: Answer) -> Callable[[Request], Answer | None]:
    return lambda request: answer if request.name == name else None


def test_a_shopper_looks_fills_a_cart_and_buys_in_that_order(tmp_path: Path, shoppers: Shoppers) -> None:
    rig = Rig(tmp_path, SmallShop(), planned_s=None)
    planned = visit(rig, shoppers)
    methods = [request.method for request in rig.transport.requests]
    assert methods == ["GET"] * len(planned.pages) + ["POST"] * (len(planned.cart_calls) + 1)
    assert rig.transport.requests[-1].name == "/orders"
    assert rig.ending()["outcome"] == "ok"


def _page_that_says(available: bool | None, as_of: str | None) -> Callable[[Request], Answer | None]:
    def answer(request: Request) -> Answer | None:
        if request.name != "/products/[sku]":
            return None
        sku = request.path.removeprefix("/products/")
        return ok({"sku": sku, "name": "a thing", "price_cents": 100, "available": available, "as_of": as_of})

    return answer


def _ago(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("available", "ago_s"), [(True, 0.0), (False, 5.0), (True, -1.0), (None, 3600.0), (None, None)]
)
def test_a_page_may_say_what_it_has_heard_lately_or_that_it_does_not_know(
    tmp_path: Path, shoppers: Shoppers, available: bool | None, ago_s: float | None
) -> None:
    rig = Rig(tmp_path, SmallShop(_page_that_says(available, _ago(ago_s))), planned_s=None)
    visit(rig, shoppers)
    assert rig.ending()["outcome"] == "ok"


@pytest.mark.parametrize("as_of", ["2026-11-27T12:00:00+00:00", "2099-11-27T12:00:00", None])
@pytest.mark.parametrize("available", [True, False])
def test_a_page_that_tells_of_the_past_as_if_it_were_the_present_is_a_wrong_answer(
    tmp_path: Path, shoppers: Shoppers, available: bool, as_of: str | None
) -> None:
    rig = Rig(tmp_path, SmallShop(_page_that_says(available, as_of)), planned_s=None)
    visit(rig, shoppers)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == ("blocked", "wrong-answer")


@pytest.mark.parametrize("ago_s", [12.0, -4.0, -1e9])
def test_the_date_of_a_page_may_be_as_far_off_as_an_answer_takes_and_no_farther(
    tmp_path: Path, shoppers: Shoppers, ago_s: float
) -> None:
    rig = Rig(tmp_path, SmallShop(_page_that_says(available=True, as_of=_ago(ago_s))), planned_s=None)
    visit(rig, shoppers)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == ("blocked", "wrong-answer")


def test_who_did_not_set_out_to_buy_leaves_a_full_cart_behind(tmp_path: Path, shoppers: Shoppers) -> None:
    rig = Rig(tmp_path, SmallShop(), buys=False)
    visit(rig, shoppers)
    assert rig.transport.sent_to("/carts/[id]/lines")
    assert not rig.transport.sent_to("/orders")
    assert rig.intents() == []


def test_the_planned_click_is_when_it_would_be_if_the_shop_took_no_time(tmp_path: Path, shoppers: Shoppers) -> None:
    rig = Rig(tmp_path, SmallShop(), planned_s=None)
    rig.transport.takes_s = 0.0
    planned = visit(rig, shoppers)
    (send,) = [record for record in rig.intents() if record["r"] == "send"]
    assert send["intended_s"] == pytest.approx(planned.purchase_planned_s, abs=1e-5)
    assert planned.purchase_planned_s is not None
    assert planned.purchase_planned_s < 8 * MIX.think_s.most


def test_a_slow_shop_shifts_the_click_but_not_what_is_planned(tmp_path: Path, shoppers: Shoppers) -> None:
    rig = Rig(tmp_path, SmallShop(), planned_s=None)
    rig.transport.takes_s = 0.5
    planned = visit(rig, shoppers)
    drawn, send, end = [record for record in rig.intents() if record["id"] == rig.shopper.key][-3:]
    before = len(planned.pages) + len(planned.cart_calls)
    assert drawn["planned_s"] == pytest.approx(planned.purchase_planned_s, abs=1e-5)
    assert send["intended_s"] - drawn["planned_s"] == pytest.approx(0.5 * before, abs=1e-5)
    assert end["latency_ms"] == pytest.approx(500)


@pytest.mark.parametrize(
    ("answer", "outcome", "problem_word"),
    [
        (Answer(broke="timeout"), "gave_up", "timeout"),
        (Answer(broke="refused", sent=False), "blocked", "refused"),
        (Answer(status=502, body=b"<html>"), "blocked", "http-502"),
        (problem(503, "overloaded"), "blocked", "overloaded"),
    ],
)
@pytest.mark.parametrize("where", ["/products/[sku]", "/carts/[id]/lines"])
def test_who_does_not_get_as_far_as_the_click_is_blocked_or_gives_up(
    tmp_path: Path, shoppers: Shoppers, where: str, answer: Answer, outcome: str, problem_word: str
) -> None:
    rig = Rig(tmp_path, SmallShop(only(where, answer)), planned_s=None)
    visit(rig, shoppers)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == (outcome, problem_word)
    assert not rig.transport.sent_to("/orders")
    assert rig.ending()["attempts"] == 0
    assert rig.ending()["latency_ms"] is None


def test_a_cart_call_is_tried_again_with_its_own_key(tmp_path: Path, shoppers: Shoppers) -> None:
    failures = iter([Answer(broke="timeout"), problem(503, "overloaded")])
    rig = Rig(
        tmp_path,
        SmallShop(lambda request: next(failures, None) if request.name == "/carts/[id]/lines" else None),
        planned_s=None,
    )
    visit(rig, shoppers)
    tries = rig.transport.sent_to("/carts/[id]/lines")[:3]
    assert len({(request.headers, request.body) for request in tries}) == 1
    assert dict(tries[0].headers)["Idempotency-Key"] != rig.shopper.key
    assert rig.ending()["outcome"] == "ok"


def test_a_shopper_whose_patience_is_spent_on_slow_answers_leaves_before_the_click(
    tmp_path: Path, shoppers: Shoppers
) -> None:
    rig = Rig(tmp_path, SmallShop(), planned_s=None)
    rig.transport.takes_s = 2.9
    visit(rig, shoppers)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == ("gave_up", "too-slow")


@pytest.mark.parametrize(
    "wrong",
    [
        ok({"sku": "G99999", "name": "another", "price_cents": 100}),
        ok({"sku": "G1"}),
        ok([]),
        Answer(status=200, body=b"<html>sorry</html>", content_type="text/html"),
        Answer(status=200),
    ],
)
def test_a_page_that_is_not_the_one_asked_for_is_an_error(tmp_path: Path, shoppers: Shoppers, wrong: Answer) -> None:
    rig = Rig(tmp_path, SmallShop(only("/products/[sku]", wrong)), planned_s=None)
    visit(rig, shoppers)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == ("blocked", "wrong-answer")


@pytest.mark.parametrize("lines", [[], [{"sku": "G1", "quantity": 1}]])
def test_a_cart_that_lost_lines_is_an_error(tmp_path: Path, shoppers: Shoppers, lines: list[dict[str, Any]]) -> None:
    lost = ok({"cart_id": "c", "lines": lines, "total_cents": 100})
    rig = Rig(tmp_path, SmallShop(only("/carts/[id]/lines", lost)), planned_s=None)
    visit(rig, shoppers)
    assert rig.ending()["problem"] == "wrong-answer"


def test_plans_are_pure(shoppers: Shoppers) -> None:
    one = shopper()
    assert shoppers.plan(one) == shoppers.plan(one)


def test_visits_follow_the_declared_mix(shoppers: Shoppers) -> None:
    """5,000 visits; tolerances are over four standard deviations."""
    visits = [shoppers.plan(one) for one in crowd(5_000)]
    lines = [sum(len(call) for call in one.cart_calls) for one in visits]
    pages = [len(one.pages) for one in visits]
    assert sum(lines) / 5_000 == pytest.approx(1.79, abs=0.07)
    assert sum(pages) / 5_000 == pytest.approx(2.05, abs=0.06)
    assert sum(len(one.cart_calls) for one in visits) / 5_000 == pytest.approx(
        PROGRAM.events_per_session["cart"], abs=0.025
    )
    firsts = Counter("product" if one.pages[0].product else "search" if one.pages[0].word else "home" for one in visits)
    assert firsts["search"] / 5_000 == pytest.approx(MIX.first_page.search, abs=0.02)
    assert firsts["home"] / 5_000 == pytest.approx(MIX.first_page.home, abs=0.02)
    assert sum(one.double_click for one in visits) / 5_000 == pytest.approx(0.02, abs=0.009)
    assert max(sum(one.page_thoughts_s) + sum(one.cart_thoughts_s) for one in visits) <= 5 * MIX.think_s.most


def test_shoppers_stay_within_their_business_line_and_look_at_what_they_buy(shoppers: Shoppers) -> None:
    for one in crowd(300):
        planned = shoppers.plan(one)
        initial = "P" if one.cohorts["business_line"] == "photo" else "G"
        bought = {sku for call in planned.cart_calls for sku, _ in call}
        seen = [page.product.sku for page in planned.pages if page.product]
        assert all(sku.startswith(initial) for sku in (*bought, *seen))
        assert not seen or seen[0] in bought


def test_popularity_is_zipf_over_ranks() -> None:
    """A chi-square over the ten most popular and the rest: 31.3 is the 99.95 % point at 10 degrees of freedom."""
    shelf = Shelf([(rank, f"G{rank}") for rank in range(1, 1001)], 0.99)
    weights = [rank**-0.99 for rank in range(1, 1001)]
    random = shopper().stream("test")
    seen = Counter(shelf.choose(random).sku for _ in range(20_000))
    expected = [20_000 * weight / sum(weights) for weight in weights[:10]]
    top = [seen[f"G{rank}"] for rank in range(1, 11)]
    pairs = [*zip(top, expected, strict=True), (20_000 - sum(top), 20_000 - sum(expected))]
    assert sum((one - other) ** 2 / other for one, other in pairs) < 31.3


def test_a_basket_holds_different_products_as_far_as_there_are_any() -> None:
    shelf = Shelf([(1, "G1"), (2, "G2")], 0.99)
    assert {product.sku for product in shelf.choose_several(5, shopper().stream("test"))} == {"G1", "G2"}


def test_a_sku_from_the_shop_cannot_change_the_request() -> None:
    shelf = Shelf([(1, "../x?\r\nHost: évil")], 0.99)
    assert shelf.choose(shopper().stream("test")).path == "/products/..%2Fx%3F%0D%0AHost%3A%20%C3%A9vil"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(broke="refused", sent=False, detail="connection refused"),
        Answer(status=503),
        ok({}),
        ok({"skus_by_rank": [{"sku": 5}]}),
        ok({"skus_by_rank": [{"sku": "G1", "business_line": "general"}]}),
        Answer(status=200, body=b"[" * 100_000),
    ],
)
def test_without_a_catalogue_of_every_business_line_the_load_is_not_ready(answer: Answer) -> None:
    with pytest.raises(NotReady, match="GET /catalogue"):
        Shoppers(MIX, LINES).prepare(FakeTransport(FakeClock(), lambda _request: answer))


def test_a_run_may_change_single_figures_of_the_mix() -> None:
    changed = read_mix(PROGRAM, {"double_click": {"share": 1.0}})
    assert (changed.double_click.share, changed.double_click.after_s) == (1.0, MIX.double_click.after_s)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pagez": [1.0]}, "pagez"),
        ({"pages": [0.5, 0.4]}, "shares of pages"),
        ({"first_page": {"product": 0.5}}, "shares of first_page"),
        ({"lines": []}, "shares of lines"),
        ({"zipf": "steep"}, "zipf"),
        ({"search_words": []}, "search_words is empty"),
        ({"patience_s": {"checkout": 100.0}}, "longer than patience_s"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_mix(PROGRAM, changes)


def test_who_comes_for_the_deal_sees_its_page_takes_one_and_clicks_and_the_others_shop_as_ever(
    shoppers: Shoppers,
) -> None:
    program = read_program(LOAD_YAML, "flash-deal")
    assert program.purchase_share == 0.80
    assert read_mix(program, {}).deal.share == 0.90
    dealers = Shoppers(read_mix(program, {"deal": {"rank": 401}}), LINES)
    dealers.prepare(FakeTransport(FakeClock(), SmallShop()))
    crowds = crowd(5_000)
    planned = [dealers.plan(one) for one in crowds]
    bought = [visit.cart_calls for visit in planned]
    for_it = [visit for visit in planned if visit.cart_calls == ((("G00400", 1),),)]
    assert len(for_it) / len(bought) == pytest.approx(0.81, abs=0.025)
    assert all([page.product and page.product.sku for page in visit.pages] == ["G00400"] for visit in for_it)
    others = [(one, visit) for one, visit in zip(crowds, planned, strict=True) if visit not in for_it]
    assert all(shoppers.plan(one).cart_calls == visit.cart_calls for one, visit in others[:200])
    expected = program.events_per_session
    assert sum(len(visit.pages) for visit in planned) / 5_000 == pytest.approx(expected["browse"], abs=0.05)
    assert sum(len(visit.cart_calls) for visit in planned) / 5_000 == pytest.approx(expected["cart"], abs=0.03)


def test_a_deal_on_a_product_that_is_not_there_keeps_the_load_waiting() -> None:
    dealers = Shoppers(read_mix(PROGRAM, {"deal": {"rank": 100_000, "share": 0.5}}), LINES)
    with pytest.raises(NotReady, match="no product of rank 100000"):
        dealers.prepare(FakeTransport(FakeClock(), SmallShop()))


def test_a_scenario_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match="flash-deal"):
        read_program(LOAD_YAML, "flash-deel")
