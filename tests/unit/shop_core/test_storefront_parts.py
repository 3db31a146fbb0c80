"""What the storefront decides in memory: pages, searches, and what the status page says."""

from __future__ import annotations

import orjson
import pytest

from stack.storefront.shelf import Shelf, Stock
from stack.storefront.truth import Pulse, Said, Truth, home_page, notice

ROWS = [
    {"sku": "G1", "name": "Quiet Oak Chair", "price_cents": 100, "business_line": "general"},
    {"sku": "G2", "name": "Quiet Steel Lamp", "price_cents": 200, "business_line": "general"},
    {"sku": "P1", "name": "Glossy Photo Print", "price_cents": 300, "business_line": "photo"},
]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def found(shelf: Shelf, text: str) -> list[str]:
    return [item["sku"] for item in orjson.loads(shelf.search(text).body)["items"]]


def test_a_search_gives_the_popular_first_and_wants_every_word() -> None:
    shelf = Shelf(ROWS)

    assert found(shelf, "quiet") == ["G1", "G2"]
    assert found(shelf, "LAMP quiet") == ["G2"]
    assert found(shelf, "quiet pho") == []
    assert found(shelf, "glossy pho") == ["P1"]
    assert found(shelf, "   ") == []


def test_a_search_gives_twenty_at_most() -> None:
    shelf = Shelf([{"sku": f"G{n}", "name": "Lamp", "price_cents": 1, "business_line": "general"} for n in range(50)])

    assert found(shelf, "lamp") == [f"G{n}" for n in range(20)]


def test_searches_remembered_are_bounded() -> None:
    shelf = Shelf(ROWS)
    for number in range(5_000):
        shelf.search(f"nothing{number}")

    assert len(shelf._searches) <= 2_000
    assert found(shelf, "lamp") == ["G2"]


def test_a_page_says_only_what_is_known_of_the_stock() -> None:
    shelf = Shelf(ROWS)
    lamp, chair = shelf.get("G2"), shelf.get("G1")
    assert lamp is not None
    assert chair is not None
    fresh = Stock("now", ["G2"], stale=False)

    assert orjson.loads(fresh.page(lamp).body)["available"] is False
    assert orjson.loads(fresh.page(chair).body) == {**ROWS[0], "available": True, "as_of": "now"}
    assert orjson.loads(fresh.aged().page(lamp).body)["available"] is None
    assert orjson.loads(Stock(None, (), stale=True).page(chair).body)["as_of"] is None


def test_names_and_skus_are_rendered_as_data() -> None:
    row = {"sku": 'a"b', "name": "x\\y\n", "price_cents": 1, "business_line": "general"}
    shelf = Shelf([row])
    product = shelf.get('a"b')
    assert product is not None

    assert orjson.loads(Stock("t", (), stale=False).page(product).body)["name"] == "x\\y\n"


@pytest.mark.parametrize(
    ("good", "bad", "state"), [(0, 0, "up"), (100, 4, "up"), (100, 6, "degraded"), (5, 5, "down"), (0, 1, "down")]
)
def test_a_pulse_is_what_the_last_seconds_were(good: int, bad: int, state: str) -> None:
    pulse = Pulse(Clock())
    for ok in [True] * good + [False] * bad:
        pulse.record(ok)

    assert pulse.state() == state


def test_a_pulse_forgets_after_five_seconds_and_keeps_its_last_state_while_nobody_calls() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.record(False)
    assert pulse.state() == "down"

    clock.now_s = 30.0
    assert pulse.state() == "down"
    clock.now_s = 61.0
    assert pulse.state() == "up"

    pulse.record(False)
    clock.now_s = 67.0
    pulse.record(True)
    assert pulse.state() == "up"


def test_a_pulse_counts_right_however_many_calls_there_are() -> None:
    pulse = Pulse(Clock())
    for _ in range(6_000):
        pulse.record(False)
    for _ in range(5_000):
        pulse.record(True)

    assert pulse.state() == "up"


def test_the_status_says_since_when_and_why() -> None:
    stale = [False]
    truth = Truth(lambda: stale[0])

    before = truth.document(ordering_open=True, banner=None)
    assert before["banner"] is None
    assert set(before["components"].values()) == {"up"}
    assert truth.document(ordering_open=True, banner=None)["since"] == before["since"]

    stale[0] = True
    after = truth.document(ordering_open=True, banner=None)
    assert after["components"]["browse"] == "degraded"
    assert "stock" in after["banner"]
    assert truth.document(ordering_open=False, banner="Back at noon")["banner"] == "Back at noon"


def test_a_shop_in_which_all_works_says_nothing() -> None:
    assert notice({"browse": "up", "cart": "up"}) is None


def test_the_front_page_shows_a_banner_as_text() -> None:
    page = home_page({"banner": "<script>", "ordering": "open"}, 3).decode()

    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_what_payments_says_of_itself_counts_as_much_as_what_orders_show() -> None:
    truth = Truth(lambda: False)
    assert truth.components()["payments"] == "up"
    truth.payments_say("degraded")
    assert truth.components()["payments"] == "degraded"
    truth.payments.record(False)
    assert truth.components()["payments"] == "down"
    truth.payments_say("up")
    assert truth.components()["payments"] == "down"


def test_a_word_of_payments_is_forgotten_when_it_can_not_be_asked_any_more() -> None:
    clock = Clock()
    said = Said(clock)
    said.hear("down")
    said.hear(None)
    assert said.state() == "down"
    clock.now_s = 5.1
    assert said.state() == "up"


def test_a_business_line_that_is_worse_off_than_the_others_is_named() -> None:
    truth = Truth(lambda: False)
    for _ in range(100):
        truth.ordered("general", True)
    for _ in range(3):
        truth.ordered("photo", False)
    truth.ordered(None, False)

    document = truth.document(ordering_open=True, banner=None)

    assert document["business_lines"] == {"general": "up", "photo": "down"}
    assert document["components"]["checkout"] == "up"
    assert "orders of photo" in document["banner"]
    assert "general" not in document["banner"]
    assert truth.line_counts("photo") == (3, 3)


def test_where_no_order_can_be_placed_no_line_is_singled_out() -> None:
    assert "photo" not in str(notice({"checkout": "down", "payments": "up"}, {"photo": "down"}))
