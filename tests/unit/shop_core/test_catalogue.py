"""The catalogue: the same everywhere, as declared."""

from __future__ import annotations

import hashlib
from collections import Counter
from statistics import median

from stack.catalogue import PLENTY, PRODUCTS, SCARCE, products


def test_the_catalogue_is_the_same_on_every_machine() -> None:
    text = "\n".join(f"{item.rank} {item.sku} {item.name} {item.price_cents} {item.initial}" for item in products())

    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "d25211557eefe377"


def test_it_has_ten_thousand_products_a_tenth_of_them_photo_prints() -> None:
    every = list(products())

    assert [item.rank for item in every] == list(range(1, PRODUCTS + 1))
    assert len({item.sku for item in every}) == PRODUCTS
    assert Counter(item.business_line for item in every) == {"general": 9_000, "photo": 1_000}
    assert all(item.sku.startswith("P") == (item.business_line == "photo") for item in every)


def test_photo_prints_are_spread_over_the_ranks() -> None:
    assert 50 <= sum(item.business_line == "photo" for item in products() if item.rank <= 1_000) <= 150


def test_a_declared_handful_is_scarce_and_nothing_else() -> None:
    assert {item.rank: item.initial for item in products() if item.initial != PLENTY} == SCARCE


def test_prices_are_plausible() -> None:
    prices = sorted(item.price_cents for item in products() if item.business_line == "general")

    assert 1_800 < median(prices) < 2_200
    assert prices[0] >= 99
