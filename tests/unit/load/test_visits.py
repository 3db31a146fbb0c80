from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crashcart.loadkit.answers import Answer
from crashcart.loadkit.run import NotReady
from crashcart.loadkit.shoppers import Crowd, Shopper, read_program
from crashcart.model.errors import UsageError
from loadtests.catalogue import Shelf
from loadtests.mix import read_mix
from loadtests.shoppers import Shoppers
from stack.catalogue import PRODUCTS
from tests.unit.load.fakes import FakeClock, FakeTransport, Rig, ok, problem, shopper
from tests.unit.load.small_shop import CATALOGUE, LINES, LOAD_YAML, MIX, PROGRAM, SmallShop, only, prepared, visit


@pytest.fixture(scope="module")
def shoppers() -> Shoppers:
    return prepared()


def crowd(count: int) -> list[Shopper]:
    drawn = Crowd(PROGRAM, seed=7, salt="")
    return [drawn.draw(number, 0.0) for number in range(count)]


def test_a_shopper_looks_fills_a_cart_and_buys_in_that_order(tmp_path: Path, shoppers: Shoppers) -> None:
    rig = Rig(tmp_path, SmallShop(), planned_s=None)
    planned = visit(rig, shoppers)
    methods = [request.method for request in rig.transport.requests]
    assert methods == ["GET"] * len(planned.pages) + ["POST"] * (len(planned.cart_calls) + 1)
    assert rig.transport.requests[-1].name == "/orders"
    assert rig.ending()["outcome"] == "ok"


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
        ok({"skus_by_rank": [{"sku": "G1", "business_line": "general", "price_cents": 100}]}),
        ok({"skus_by_rank": [{**CATALOGUE[0], "price_cents": 0}, *CATALOGUE[1:]]}),
        ok({"skus_by_rank": [{"sku": "G1", "business_line": "general"}, *CATALOGUE]}),
        Answer(status=200, body=b"[" * 100_000),
    ],
)
def test_without_a_catalogue_of_every_business_line_the_load_is_not_ready(answer: Answer) -> None:
    with pytest.raises(NotReady, match="GET /catalogue"):
        Shoppers(MIX, LINES).prepare(FakeTransport(FakeClock(), lambda _request: answer))


@pytest.mark.parametrize(
    ("offered", "declared", "said"),
    [
        (CATALOGUE[:999], 1000, "999 products, and mix.products in loadtests/load.yaml says 1000"),
        ([*CATALOGUE[:999], CATALOGUE[0]], 1000, "G00000 is there more than once"),
        ([*CATALOGUE, CATALOGUE[0]], 0, "G00000 is there more than once"),
    ],
)
def test_a_shop_without_all_of_its_products_keeps_the_load_waiting(
    offered: list[dict[str, Any]], declared: int, said: str
) -> None:
    waiting = Shoppers(read_mix(PROGRAM, {"products": declared}), LINES)
    with pytest.raises(NotReady, match=said):
        waiting.prepare(FakeTransport(FakeClock(), lambda _request: ok({"skus_by_rank": offered})))


@pytest.mark.parametrize("declared", [0, 999, 1000])
def test_a_shop_with_as_many_products_as_declared_or_more_is_ready(declared: int) -> None:
    Shoppers(read_mix(PROGRAM, {"products": declared}), LINES).prepare(FakeTransport(FakeClock(), SmallShop()))


def test_as_many_products_are_declared_as_the_shop_is_filled_with() -> None:
    assert read_mix(PROGRAM, {}).products == PRODUCTS


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
        ({"products": -1}, "less than none"),
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
    dealers = Shoppers(read_mix(program, {"deal": {"rank": 401}, "products": 1000}), LINES)
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
    dealers = Shoppers(read_mix(PROGRAM, {"deal": {"rank": 100_000, "share": 0.5}, "products": 0}), LINES)
    with pytest.raises(NotReady, match="no product of rank 100000"):
        dealers.prepare(FakeTransport(FakeClock(), SmallShop()))


def test_a_scenario_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match="flash-deal"):
        read_program(LOAD_YAML, "flash-deel")
