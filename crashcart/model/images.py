"""Which images containers are started from."""

from __future__ import annotations

import msgspec

PARTS = ("python", "postgres", "valkey", "toxiproxy", "prometheus", "grafana")
"""What a project names an image for: the base of its own services, the servers beside them, and what looks at them."""


class ShopImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one image of all services that are commands."""

    name: str
    """Without a tag, such as `crashcart/shop`: the tag says what went into it."""

    dockerfile: str
    """Relative to the project."""

    python: str = "python"
    """What `{python}` of a design's command stands for inside."""


class Images(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`stack/images/images.yaml`, with what the environment puts in its place."""

    shop: ShopImage
    parts: dict[str, str]
    """By part; each with a tag or a digest."""
