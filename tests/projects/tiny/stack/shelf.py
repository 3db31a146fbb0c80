"""Keeps the ledger: one line an order, once a key."""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from pathlib import Path

from plumbing import TOLD, Answer, problem, serve

LEDGER = Path(os.environ["DATA_DIR"]) / "ledger.jsonl"
ONCE = Path(os.environ["DATA_DIR"]) / "has-run"
if ONCE.exists() and os.environ.get("STARTS_ONCE"):
    sys.exit("the shelf was put up once, and not again")
ONCE.touch()
LEDGER.touch()
_lock = threading.Lock()
_known = {json.loads(line)["key"] for line in LEDGER.read_text(encoding="utf-8").splitlines()}


def take(_path: str, key: str) -> Answer:
    """Take one thing off the shelf for a key; again is the same. Told to refuse a share, it refuses these keys."""
    if random.Random(key).random() < TOLD.get("refuse", 0.0):
        return problem(503, "shelf-refuses", key)
    with _lock:
        if key not in _known:
            try:
                _write(json.dumps({"key": key}) + "\n")
            except OSError:
                return problem(503, "shelf-can-not-write", key)
            _known.add(key)
    return 201, {"order_id": key, "reference": key[:8]}


def _write(line: str) -> None:
    """The whole line or nothing of it."""
    with LEDGER.open("ab", buffering=0) as ledger:
        before = os.fstat(ledger.fileno()).st_size
        if ledger.write(line.encode()) != len(line):
            ledger.truncate(before)
            raise OSError("a part of it found room")


serve(lambda _path: None, take)
