"""Images: what containers are started from. The adapter over the `docker` SDK."""

from crashcart.images.building import build_shop
from crashcart.images.engine import connect
from crashcart.images.parts import ensure_parts
from crashcart.images.shop import shop_tag

__all__ = ["build_shop", "connect", "ensure_parts", "shop_tag"]
