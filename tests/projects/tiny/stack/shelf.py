"""Keeps the ledger: one line an order, once a key."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from plumbing import Answer, serve

LEDGER = Path(os.environ["DATA_DIR"]) / "ledger.jsonl"
LEDGER.touch()
_lock = threading.Lock()
_known = {json.loads(line)["key"] for line in LEDGER.read_text(encoding="utf-8").splitlines()}


def take(_path: str, key: str) -> Answer:
    """Take one thing off the shelf for a key; again is the same."""
    with _lock:
        if key not in _known:
            with LEDGER.open("a", encoding="utf-8") as ledger:
                ledger.write(json.dumps({"key": key}) + "\n")
            _known.add(key)
    return 201, {"order_id": key, "reference": key[:8]}


serve(lambda _path: None, take)
