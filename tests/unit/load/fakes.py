"""Hand-written stand-ins for time and the network, and an office around them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gevent

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.deferred import Deferred
from crashcart.loadkit.desk import PURCHASE, Desk, Office
from crashcart.loadkit.intents import INTENT_OUTCOMES, IntentLog
from crashcart.loadkit.metrics import ShopperMetrics
from crashcart.loadkit.pace import Pace
from crashcart.loadkit.shoppers import Shopper
from crashcart.loadkit.transport import BODY_MAX_BYTES

COHORTS: Mapping[str, Mapping[str, float]] = {
    "business_line": {"general": 0.9, "photo": 0.1},
    "network": {"visa": 0.7, "mastercard": 0.25, "amex": 0.05},
}
OPERATIONS = {
    "browse": ("ok", "error", "timeout", "refused"),
    "cart": ("ok", "error", "timeout", "refused"),
    "checkout": ("ok", "error", "timeout", "refused", "declined", "sold_out"),
}
PHASES = (("warmup", 10.0), ("baseline", 30.0), ("fault", 50.0), ("recovery", 80.0))


def phase_at(at_s: float) -> str:
    return next((name for name, end_s in PHASES if at_s < end_s), "recovery")


class FakeClock:
    """Time passes only where someone waits for it."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    def sleep_until(self, at_s: float) -> None:
        gevent.sleep(0)
        self.at_s = max(self.at_s, at_s)


Script = Callable[[Request], Answer]


class FakeTransport:
    """Answers as its script says; each answer takes `takes_s` of the fake clock."""

    def __init__(self, clock: FakeClock, script: Script, takes_s: float = 0.02) -> None:
        self._clock = clock
        self._script = script
        self.takes_s = takes_s
        self.requests: list[Request] = []
        self.timeouts_s: list[float] = []

    def exchange(self, request: Request, timeout_s: float, body_max_bytes: int = BODY_MAX_BYTES) -> Answer:
        self.requests.append(request)
        self.timeouts_s.append(timeout_s)
        gevent.sleep(0)
        answer = self._script(request)
        self._clock.at_s += timeout_s if answer.broke == "timeout" else self.takes_s
        return answer

    def sent_to(self, name: str) -> list[Request]:
        return [request for request in self.requests if request.name == name]


class Rig:
    """One shopper's desk with everything behind it."""

    def __init__(self, out: Path, script: Script, *, buys: bool = True, planned_s: float | None = 1.0) -> None:
        self.out = out
        self.clock = FakeClock()
        self.transport = FakeTransport(self.clock, script)
        self.metrics = ShopperMetrics(
            cohorts=COHORTS,
            phases=[name for name, _ in PHASES],
            outcomes={**OPERATIONS, PURCHASE: INTENT_OUTCOMES},
        )
        self.pace = Pace(out, tuple(OPERATIONS))
        self.problems: list[str] = []
        self.office = Office(
            clock=self.clock,
            transport=self.transport,
            metrics=self.metrics,
            pace=self.pace,
            intents=IntentLog(out),
            listener=self._listen,
            phase_at=phase_at,
            later=Deferred(),
        )
        self.shopper = shopper(buys=buys)
        self.desk = Desk(self.office, self.shopper, planned_s if buys else None)

    def _listen(self, request: Request, answer: Answer, problem: str, started_wall_s: float, took_s: float) -> None:
        self.problems.append(problem)

    def intents(self) -> list[dict[str, Any]]:
        return read_lines(self.out / "intents.jsonl")

    def ending(self) -> dict[str, Any]:
        (last,) = [record for record in self.intents() if record["r"] == "end"]
        return last

    def counted(self) -> dict[str, float]:
        """Every counter that is not 0: `name{labels}` → value."""
        self.office.later.flush()
        return {name: value for name, value in samples(self.metrics).items() if value}


def shopper(*, buys: bool = True, number: int = 3, seed: int = 7) -> Shopper:
    cohorts = {"business_line": "general", "network": "amex"}
    return Shopper(number, 0.0, cohorts, "11111111-2222-5333-8444-555555555555" if buys else None, seed, "")


def samples(metrics: ShopperMetrics) -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ok(body: object, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(body).encode(), content_type="application/json")


def problem(status: int, word: str, *, safe: object = True, retry_after_s: object = 0.2, **changes: object) -> Answer:
    body = {
        "type": f"/problems/{word}",
        "title": word,
        "status": status,
        "detail": "",
        "reference": "R-0123456789",
        "safe_to_retry": safe,
        "retry_after_s": retry_after_s,
        "contact": "support@shop.example",
        **changes,
    }
    return Answer(status=status, body=json.dumps(body).encode(), content_type="application/problem+json")


def in_turn(answers: Sequence[Answer]) -> Script:
    """One answer after the other; asking for more is an error of the test."""
    left = list(answers)
    return lambda _request: left.pop(0)
