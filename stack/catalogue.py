"""The shop's catalogue: 10,000 products from a seed, the same on every machine.

It is what the inventory database is filled with once; after that the database is the truth and nobody reads this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

PRODUCTS = 10_000
PHOTO_EVERY = 10
"""One product in ten is a photo print (`P0001`…), the others are general goods (`G00001`…)."""
SEED = 1
PLENTY = 1_000_000
"""On the shelf of everything that no steady run may sell out."""
DEAL_RANK, DEAL_PIECES = 5001, 300
"""The flash deal: a product that hardly anybody looks at until it is advertised, and so many pieces of it."""
SCARCE = {40: 8, 90: 5, 200: 3, 450: 2, 1000: 1, DEAL_RANK: DEAL_PIECES}
"""The declared handful that does sell out: popularity rank → pieces on the shelf."""


def _words(text: str) -> list[str]:
    return text.split()


_ADJECTIVES = _words("""
    Sturdy Foldable Compact Quiet Cordless Insulated Stackable Washable Adjustable Portable Lightweight Waterproof
    Reusable Magnetic Ergonomic Classic Deluxe Everyday Outdoor Vintage Modern Mini Jumbo Premium Organic
""")
_MATERIALS = _words("""
    Steel Bamboo Cotton Glass Ceramic Oak Linen Copper Leather Wool Silicone Canvas Aluminium Cork Felt
""")
_THINGS = _words("""
    Lamp Kettle Blanket Backpack Bottle Toaster Pillow Desk Chair Mug Knife Pan Basket Clock Mirror Towel Tent Stove
    Drill Hammer Ladder Rake Hose Bucket Notebook Pen Puzzle Scooter Helmet Ball Racket Jacket Scarf Boots Gloves Radio
    Speaker Charger Keyboard Webcam Router Printer Shelf Curtain Rug Vase Planter Broom Scale Thermos
""")
_FINISHES = ["Glossy", "Matte", "Silk", "Pearl", "Satin", "Framed", "Canvas", "Metal", "Acrylic", "Wooden"]
_PRINTS = ["Print", "Poster", "Calendar", "Photobook", "Mug", "Magnet", "Puzzle", "Cushion", "Card", "Postcard"]
_SIZES = ["10x15", "13x18", "20x30", "30x40", "50x70"]


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `rank` is its place in popularity, from 1; `initial` the pieces on the shelf at the opening."""

    rank: int
    sku: str
    name: str
    price_cents: int
    business_line: str
    initial: int


def products(seed: int = SEED) -> Iterator[Product]:
    """All products in order of popularity.

    Prices are log-normal: general goods have a median of 19.99 and photo prints of 8.99 in the shop's currency.
    """
    random = Random(seed)
    skus = [f"P{number // PHOTO_EVERY:04d}" for number in range(PHOTO_EVERY, PRODUCTS + 1, PHOTO_EVERY)]
    skus += [f"G{number:05d}" for number in range(1, PRODUCTS - len(skus) + 1)]
    # Sorting by drawn numbers, and not shuffle(), whose use of the generator has changed between versions of Python.
    for rank, (_, sku) in enumerate(sorted((random.random(), sku) for sku in skus), start=1):
        photo = sku.startswith("P")
        yield Product(
            rank=rank,
            sku=sku,
            name=_photo_name(random, sku) if photo else _general_name(random, sku),
            price_cents=max(99, round(random.lognormvariate(6.8 if photo else 7.6, 0.5 if photo else 0.8))),
            business_line="photo" if photo else "general",
            initial=SCARCE.get(rank, PLENTY),
        )


def _pick(random: Random, words: list[str]) -> str:
    return words[int(random.random() * len(words))]


def _general_name(random: Random, sku: str) -> str:
    return f"{_pick(random, _ADJECTIVES)} {_pick(random, _MATERIALS)} {_pick(random, _THINGS)} {sku[1:]}"


def _photo_name(random: Random, sku: str) -> str:
    return f"{_pick(random, _FINISHES)} Photo {_pick(random, _PRINTS)} {_pick(random, _SIZES)} {sku[1:]}"
