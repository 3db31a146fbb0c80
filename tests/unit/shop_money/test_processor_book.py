from __future__ import annotations

import pytest

from stack.thirdparty.book import Book, ChargeRequest
from tests.unit.shop_money.memory_ledger import MemoryLedger


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def wanted(key: str = "k", amount_cents: int = 500) -> ChargeRequest:
    return ChargeRequest(key, "order-1", "R-1", amount_cents, "visa", "0123456789abcdef")


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture(params=["replays-failures", "stores-successes"])
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def entries(ledger: MemoryLedger) -> list[tuple[str, int]]:
    return [(record["entry"], record["amount_cents"]) for record in ledger.records]


def test_a_key_is_charged_once(ledger: MemoryLedger, style: str) -> None:
    book = Book(ledger, style)
    assert book.charge(wanted()) == book.charge(wanted())
    assert entries(ledger) == [("charge", 500)]


def test_a_key_with_another_amount_is_a_mismatch(ledger: MemoryLedger, style: str) -> None:
    book = Book(ledger, style)
    book.charge(wanted())
    assert book.charge(wanted(amount_cents=501)).state == "mismatch"


def test_one_style_replays_a_failure_for_ever_and_the_other_lets_it_be_tried_again(ledger: MemoryLedger) -> None:
    replays, forgets = Book(ledger, "replays-failures"), Book(MemoryLedger(), "stores-successes")
    for book in (replays, forgets):
        assert book.fail(wanted()).state == "failed"
    assert replays.charge(wanted()).state == "failed"
    assert replays.look_up("k") == "failed"
    assert forgets.look_up("k") is None
    assert forgets.charge(wanted()).state == "captured"


def test_a_failure_after_the_charge_is_found_by_looking_up(ledger: MemoryLedger) -> None:
    book = Book(ledger, "replays-failures")
    assert book.charge(wanted(), fail_after=True).state == "failed"
    assert book.charge(wanted()).state == "failed"
    assert book.look_up("k") == "captured"


def test_the_late_style_denies_a_young_charge(ledger: MemoryLedger) -> None:
    clock = Clock()
    book = Book(ledger, "stores-successes", 2.0, clock)
    book.charge(wanted())
    clock.now += 1.9
    assert book.look_up("k") is None
    clock.now += 0.2
    assert book.look_up("k") == "captured"


def test_a_void_hands_back_what_was_captured_once_and_closes_the_key(ledger: MemoryLedger, style: str) -> None:
    book = Book(ledger, style)
    book.charge(wanted())
    assert [book.void("k"), book.void("k"), book.refund("k")] == [500, 0, 0]
    assert book.charge(wanted()).state == "voided"
    assert entries(ledger) == [("charge", 500), ("void", 500)]


def test_a_void_of_an_unknown_key_refuses_the_charge_that_comes_after_it(ledger: MemoryLedger, style: str) -> None:
    book = Book(ledger, style)
    assert book.void("k") == 0
    assert book.charge(wanted()).state == "voided"
    assert entries(ledger) == [("void", 0)]
    assert book.refund("k") is None


def test_a_declined_card_stays_declined_only_where_answers_are_stored(ledger: MemoryLedger) -> None:
    stores, forgets = Book(ledger, "replays-failures"), Book(MemoryLedger(), "stores-successes")
    for book in (stores, forgets):
        assert book.charge(wanted(), decline=True).state == "declined"
    assert stores.charge(wanted()).state == "declined"
    assert forgets.charge(wanted()).state == "captured"


def test_a_book_opened_again_knows_what_it_knew(ledger: MemoryLedger, style: str) -> None:
    book = Book(ledger, style)
    book.charge(wanted("kept"))
    book.charge(wanted("unheard"), fail_after=True)
    book.fail(wanted("failed"))
    book.charge(wanted("given-back"))
    book.void("given-back")
    book.void("stone")
    again = Book(ledger, style)
    for key in ("kept", "unheard", "failed", "given-back", "stone"):
        assert again.look_up(key) == book.look_up(key), key
        assert again.stored_answer(wanted(key)) == book.stored_answer(wanted(key)), key


def test_an_unknown_style_is_refused_by_name(ledger: MemoryLedger) -> None:
    with pytest.raises(ValueError, match="replays-failures and stores-successes"):
        Book(ledger, "forgets-everything")
