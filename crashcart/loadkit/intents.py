"""The diary of intents: each is on disk, with its idempotency key, before anything of it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crashcart.loadkit.files import JsonLines

IntentOutcome = Literal["ok", "declined", "sold_out", "failed", "unknown", "gave_up", "blocked"]
"""ok: done. declined, sold_out: refused for a reason of business. failed: definitely not done, the shop said so or was
never reached. unknown: it may have happened. gave_up: the shopper left before sending, for slowness. blocked: never got
to send."""

INTENT_OUTCOMES: tuple[IntentOutcome, ...] = ("ok", "declined", "sold_out", "failed", "unknown", "gave_up", "blocked")

NOT_STARTED = "load-not-started"
"""The problem of an intent whose session the load itself could not start. The run is then not valid."""

CRASHED = "load-crashed"
"""The problem of an intent whose session ended in an error of our own."""


STOPPED = "load-stopped"
"""The problem of an intent whose session was cut short: the load was told to leave at once."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an intent ended."""

    outcome: IntentOutcome
    latency_ms: float | None = None
    """From the intended click to the last answer; None where nothing was sent."""
    attempts: int = 0
    status: int = 0
    problem: str = ""
    reference: str = ""
    order_id: str = ""
    safe_to_retry: bool | None = None
    double_click: Literal["", "same", "different", "contradicted", "one-answer", "no-answer"] = ""
    """What a second click with the same key was told, next to the first."""


class IntentLog:
    """`intents.jsonl`. Every method raises RecordNotWritten, and then the thing must not be done."""

    def __init__(self, out: Path) -> None:
        """`out`: the recording's folder, which exists."""
        self._file = JsonLines(out / "intents.jsonl")

    def drawn(self, key: str, *, session: int, phase: str, planned_s: float, cohorts: Mapping[str, str]) -> None:
        """A shopper arrived who set out to buy, at `planned_s` if the shop answers at once."""
        self._file.append(
            {
                "r": "intent",
                "id": key,
                "sli": "purchase",
                "session": session,
                "phase": phase,
                "planned_s": round(planned_s, 6),
                "cohorts": cohorts,
                "state": "drawn",
            }
        )

    def send(self, key: str, *, attempt: int, intended_s: float, sent_s: float, what: Mapping[str, object]) -> None:
        """The shopper clicks for the `attempt`-th time. `what`: lines, total, card network."""
        self._file.append(
            {
                "r": "send",
                "id": key,
                "attempt": attempt,
                "intended_s": round(intended_s, 6),
                "sent_s": round(sent_s, 6),
                **what,
            }
        )

    def end(self, key: str, ending: Ending, *, done_s: float, saw: str = "") -> None:
        """The intent is over. `saw`: what the shopper saw of the request that ended it."""
        self._file.append(
            {
                "r": "end",
                "id": key,
                "outcome": ending.outcome,
                "latency_ms": None if ending.latency_ms is None else round(ending.latency_ms, 3),
                "attempts": ending.attempts,
                "status": ending.status,
                "problem": ending.problem,
                "reference": ending.reference,
                "order_id": ending.order_id,
                "safe_to_retry": ending.safe_to_retry,
                "double_click": ending.double_click,
                "saw": saw,
                "done_s": round(done_s, 6),
            }
        )

    def close(self) -> None:
        """Idempotent."""
        self._file.close()
