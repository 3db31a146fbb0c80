"""What a fault kind is, in data: its steps can be logged, done, and undone from the log alone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Step(msgspec.Struct, frozen=True):
    """One thing done to one target. Everything needed to do and to undo it is in here, and nothing secret."""

    kind: str
    """The fault kind that knows how: `toxiproxy/latency`."""
    target: str
    """Proxy or instance."""
    data: dict[str, Any]
    """JSON; e.g. the API's address, the proxy's and the toxic's name and attributes."""


class LogRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `faultlog.jsonl`, on disk (fsync) before what it announces is done."""

    op: Literal["will-inject", "injected", "will-undo", "undone", "undo-failed"]
    fault: str
    """`f1`."""
    step: Step
    at_mono_s: float
    """CLOCK_MONOTONIC of this machine and boot."""
    wall: str
    boot_id: str
    expires_mono_s: float
    """From then on the watchdog undoes it, whatever the harness thinks."""
    by: str = "harness"
    """Who writes: `harness`, `watchdog`, `recover`."""
    error: str = ""
