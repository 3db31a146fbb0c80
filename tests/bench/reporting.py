"""How long the reports of a long run take, and how big its page is: half an hour at peak, made up, with full logs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from crashcart.model.verdict import Outcome
from crashcart.reporting import write_all
from tests.unit.reporting.recordings import make_recording
from tests.unit.reporting.stories import Story

HALF_AN_HOUR = Story("half-an-hour", Outcome.FAIL, lost_in_fault=0.22, amex_lost=0.9, stretch=22.5, per_s=40)
"""Phases of 80 s, stretched to 1,800 s: about 72,000 purchases, of which some thousands fail."""
LIMIT_S, LIMIT_KB = 10.0, 2000
_SERVICES = ("storefront", "cart", "checkout", "inventory", "payments")
_LINES = 200_000
_LINE = (
    '{{"ts":"2026-11-22T08:00:00.000+00:00","level":"info","service":"{}[0]","reference":"R-{:010d}",'
    '"event":"order-placed","order_id":"7b5df5cf-1432-5dc6-bd9f-791e91ac21fd","network":"visa"}}\n'
)


def rows() -> list[tuple[str, str, str]]:
    """(what, measured, wanted): seconds to write all reports of one recording, and its page's size."""
    with tempfile.TemporaryDirectory(prefix="crashcart-bench-") as folder:
        recording = Path(folder) / "recording"
        verdict = make_recording(recording, HALF_AN_HOUR)
        for service in _SERVICES:
            with (recording / "logs" / f"{service}[0].log").open("a") as log:
                log.writelines(_LINE.format(service, number) for number in range(_LINES))
        began = time.monotonic()
        page = write_all(recording, verdict)
        took_s = time.monotonic() - began
        size_kb = page.stat().st_size / 1000
    return [
        ("reports of a 30-minute run", f"{took_s:.1f} s", f"≤ {LIMIT_S:g} s"),
        ("  its page", f"{size_kb:.0f} kB", f"≤ {LIMIT_KB} kB"),
    ]
