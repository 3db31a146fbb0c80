"""Damages a page of a table on disk, so that its checksum is wrong, and puts it back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.contract.shop_core.servers import PostgresServer

_PAGE_BYTES = 8192


@dataclass
class DamagedPage:
    """One page; `skus` of the products on it."""

    postgres: PostgresServer
    file: Path
    block: int
    saved: bytes
    skus: tuple[str, ...]

    @classmethod
    def with_product(cls, postgres: PostgresServer, sku: str) -> DamagedPage:
        """The page that holds this product is damaged when this returns."""
        postgres.sql("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
        # In this order: what is still dirty in memory would be written over the damage.
        postgres.sql("VACUUM (FREEZE) products")
        postgres.sql("CHECKPOINT")
        block = int(postgres.sql(f"SELECT (ctid::text::point)[0]::int FROM products WHERE sku = '{sku}'"))
        skus = postgres.sql(f"SELECT sku FROM products WHERE (ctid::text::point)[0]::int = {block} ORDER BY sku")
        file = postgres.data / postgres.sql("SELECT pg_relation_filepath('products')")
        page = cls(postgres, file, block, b"", tuple(skus.split()))
        page._evict()
        with file.open("r+b") as table:
            table.seek(block * _PAGE_BYTES)
            page.saved = table.read(_PAGE_BYTES)
            table.seek(block * _PAGE_BYTES + 4096)
            table.write(bytes(255 - byte for byte in page.saved[4096:4128]))
        page._evict()
        return page

    def repair(self) -> None:
        """As it was."""
        with self.file.open("r+b") as table:
            table.seek(self.block * _PAGE_BYTES)
            table.write(self.saved)
        self._evict()

    def _evict(self) -> None:
        self.postgres.sql("SELECT * FROM pg_buffercache_evict_relation('products'::regclass)")
