"""What the load counted, on disk: whoever scraped it can be held against that."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.loadkit.metrics import ShopperMetrics
from crashcart.model.recording import FILES


def write_counters(out: Path, metrics: ShopperMetrics) -> int:
    """What Prometheus should have in the end, a line a series; returns how many there are. OSError where it can't."""
    lines = [msgspec.json.encode(one) + b"\n" for one in metrics.counts()]
    (out / FILES["load-counters"]).write_bytes(b"".join(lines))
    return len(lines)
