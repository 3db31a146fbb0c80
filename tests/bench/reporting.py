"""How long the reports of a long run take, and how big its page is: half an hour at peak, made up, with full logs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import msgspec

from crashcart.model.verdict import Outcome
from crashcart.reporting import unwritten, write_all
from tests.unit.reporting.recordings import make_recording
from tests.unit.reporting.stories import Story

HALF_AN_HOUR = Story("half-an-hour", Outcome.FAIL, lost_in_fault=0.22, amex_lost=0.9, stretch=22.5, per_s=40)
"""Phases of 80 s, stretched to 1,800 s: about 72,000 purchases, of which some thousands fail."""
LIMIT_S, LIMIT_KB = 10, 2000
_SERVICES = ("storefront", "cart", "checkout", "inventory", "payments")
_LINES = 200_000
_LINE = (
    '{{"ts":"2026-11-22T08:00:00.000+00:00","level":"info","service":"{}[0]","reference":"R-{:010d}",'
    '"event":"order-placed","order_id":"7b5df5cf-1432-5dc6-bd9f-791e91ac21fd","network":"visa"}}\n'
)


class ReportFigures(msgspec.Struct, frozen=True):
    """All reports of one recording, written once."""

    minutes: float
    """Of the run that is reported on."""
    logs_mib: int
    seconds: float
    page_kb: int


def measure_reports() -> ReportFigures:
    """Make a recording of half an hour, and write everything about it."""
    with tempfile.TemporaryDirectory(prefix="crashcart-bench-") as folder:
        recording = Path(folder) / "recording"
        verdict = make_recording(recording, HALF_AN_HOUR)
        for service in _SERVICES:
            with (recording / "logs" / f"{service}[0].log").open("a") as log:
                log.writelines(_LINE.format(service, number) for number in range(_LINES))
        logs_mib = sum(path.stat().st_size for path in (recording / "logs").iterdir()) >> 20
        began = time.monotonic()
        page = write_all(recording, verdict)
        seconds = time.monotonic() - began
        if missing := unwritten(recording, verdict):
            raise SystemExit(f"not written: {', '.join(missing)}")
        return ReportFigures(
            verdict.phases[-1].end_s / 60, logs_mib, round(seconds, 2), round(page.stat().st_size / 1000)
        )


def report_rows(one: ReportFigures) -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for people."""
    what = f"report of a {one.minutes:.0f}-minute run, {one.logs_mib} MiB of logs"
    return [(what, f"{one.seconds:.1f} s, {one.page_kb:,} kB", f"≤ {LIMIT_S} s, {LIMIT_KB:,} kB")]
