"""A ledger that is gone with its test."""

from __future__ import annotations

from typing import Any


class MemoryLedger:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def read(self) -> list[dict[str, Any]]:
        return self.records
