"""What the shoppers believe of an answer, and what not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.desk import Desk, Wrong
from loadtests.promises import cart_total_cents, product_page
from loadtests.shoppers import Page, Shoppers
from stack.catalogue import products
from tests.unit.load.fakes import Rig, ok
from tests.unit.load.small_shop import MIX, PRICES, SmallShop, found, home, only, prepared, visit


@pytest.fixture(scope="module")
def shoppers() -> Shoppers:
    return prepared()


def _page_that_says(available: bool | None, as_of: str | None) -> Callable[[Request], Answer | None]:
    def answer(request: Request) -> Answer | None:
        if request.name != "/products/[sku]":
            return None
        sku = request.path.removeprefix("/products/")
        return ok({"sku": sku, "name": "a thing", "price_cents": PRICES[sku], "available": available, "as_of": as_of})

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


@pytest.mark.parametrize("off_cents", [-1, 1, -100_000])
def test_a_page_at_another_price_than_the_catalogues_is_an_error(
    tmp_path: Path, shoppers: Shoppers, off_cents: int
) -> None:
    def dearer(request: Request) -> Answer | None:
        sku = request.path.removeprefix("/products/")
        page = {"sku": sku, "name": "a thing", "price_cents": PRICES.get(sku, 0) + off_cents}
        return ok(page) if request.name == "/products/[sku]" else None

    rig = Rig(tmp_path, SmallShop(dearer), planned_s=None)
    visit(rig, shoppers)
    assert (rig.ending()["outcome"], rig.ending()["problem"]) == ("blocked", "wrong-answer")


def look_at(tmp_path: Path, shoppers: Shoppers, page: Page, answer: Answer) -> str:
    """What a shopper who comes for this page alone takes the answer for; empty where it is what was asked for."""
    rig = Rig(tmp_path, SmallShop(lambda request: answer if request.method == "GET" else None), planned_s=None)
    planned = msgspec.structs.replace(shoppers.plan(rig.shopper), pages=(page,), page_thoughts_s=(0.0,))
    rig.desk = Desk(rig.office, rig.shopper, planned.purchase_planned_s)
    planned.run(rig.desk)
    problem_word: str = rig.ending()["problem"]
    return problem_word


@pytest.mark.parametrize("name", ["Sturdy Steel Lamp 00001", "LAMP", "Copper Lampshade 00002"])
def test_a_search_finds_products_with_that_word_or_its_beginning(tmp_path: Path, shoppers: Shoppers, name: str) -> None:
    assert look_at(tmp_path, shoppers, Page(word="lamp"), ok({"items": [found(name), found("Vintage Lamp")]})) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ok({"items": []}),
        ok({"items": [found("Vintage Lamp"), found("Sturdy Steel Kettle")]}),
        ok({"items": [found("Oak Headlamp")]}),
        ok({"items": [found("Vintage Lamp", price_cents=99)]}),
        ok({"items": [{"sku": "G5", "name": "Vintage Lamp", "price_cents": 100}]}),
        ok({"items": [{"sku": "G00000", "name": "Vintage Lamp"}]}),
        ok({}),
        msgspec.structs.replace(ok({"items": [found("Vintage Lamp")]}), content_type="text/html"),
    ],
)
def test_a_search_that_finds_nothing_or_something_else_is_an_error(
    tmp_path: Path, shoppers: Shoppers, wrong: Answer
) -> None:
    assert look_at(tmp_path, shoppers, Page(word="lamp"), wrong) == "wrong-answer"


def test_each_word_that_shoppers_search_is_one_of_the_catalogue() -> None:
    names = {word for product in products() for word in product.name.lower().split()}
    assert set(MIX.search_words) <= names


@pytest.mark.parametrize("ordering_open", [True, False])
def test_the_home_page_is_the_home_page_whatever_trouble_it_tells_of(
    tmp_path: Path, shoppers: Shoppers, ordering_open: bool
) -> None:
    answer = Answer(status=200, body=home(ordering_open=ordering_open), content_type="text/html; charset=utf-8")
    assert look_at(tmp_path, shoppers, Page(), answer) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(status=200, body=b"<h1>The shop</h1><p>We are out of order.", content_type="text/html"),
        Answer(status=200, body=home(), content_type="application/json"),
        Answer(status=200, content_type="text/html"),
    ],
)
def test_a_home_page_without_the_shop_in_it_is_an_error(tmp_path: Path, shoppers: Shoppers, wrong: Answer) -> None:
    assert look_at(tmp_path, shoppers, Page(), wrong) == "wrong-answer"


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_called_json(kind: str) -> None:
    page = {"sku": "G1", "name": "a thing", "price_cents": 100}
    assert product_page(msgspec.structs.replace(ok(page), content_type=kind), "G1", 100)


@pytest.mark.parametrize("kind", ["", "text/html", "application/jsonp", "application/problem+json"])
@pytest.mark.parametrize("where", ["/products/[sku]", "/carts/[id]/lines", "/orders"])
def test_json_that_is_called_something_else_is_an_error(
    tmp_path: Path, shoppers: Shoppers, kind: str, where: str
) -> None:
    right = SmallShop()

    def miscalled(request: Request) -> Answer | None:
        return msgspec.structs.replace(right(request), content_type=kind) if request.name == where else None

    rig = Rig(tmp_path, SmallShop(miscalled), planned_s=None)
    visit(rig, shoppers)
    assert rig.ending()["problem"] == "wrong-answer"


@pytest.mark.parametrize("lines", [[], [{"sku": "G1", "quantity": 1}]])
def test_a_cart_that_lost_lines_is_an_error(tmp_path: Path, shoppers: Shoppers, lines: list[dict[str, Any]]) -> None:
    lost = ok({"cart_id": "c", "lines": lines, "total_cents": 100})
    rig = Rig(tmp_path, SmallShop(only("/carts/[id]/lines", lost)), planned_s=None)
    visit(rig, shoppers)
    assert rig.ending()["problem"] == "wrong-answer"


@pytest.mark.parametrize(
    ("lines", "total_cents"),
    [
        ([("G00002", 2), ("G00005", 1)], 308),
        ([("G00002", 2), ("G00005", 1)], 310),
        ([("G00002", 2), ("G00005", 1)], 0),
        ([("G00002", 2)], 204),
        ([("G00002", 2), ("G00005", 2)], 414),
        ([("G00002", 2), ("G00002", 2), ("G00005", 1)], 309),
        ([("G00002", 2), ("G00002", 2), ("G00005", 1)], 513),
    ],
)
def test_a_cart_is_what_was_put_in_each_line_once_at_the_sum_of_its_prices(
    lines: list[tuple[str, int]], total_cents: int
) -> None:
    basket = {"G00002": 2, "G00005": 1}
    right = [{"sku": sku, "quantity": quantity} for sku, quantity in basket.items()]
    assert cart_total_cents(ok({"lines": right, "total_cents": 309}), basket, PRICES) == 309
    wrong = ok({"lines": [{"sku": sku, "quantity": n} for sku, n in lines], "total_cents": total_cents})
    with pytest.raises(Wrong):
        cart_total_cents(wrong, basket, PRICES)
