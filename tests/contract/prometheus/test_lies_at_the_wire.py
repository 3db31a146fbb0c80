"""A Prometheus that lies: what a run takes down from it over the wire is judged, and is never a pass.

All that a healthy run scraped lies in a stand-in that speaks Prometheus's API; it tells all of it, or lies in one
declared way. The collecting, the recorder and the judge are those of a real run. Beside each lie stands the same one
about a shop that failed its shoppers.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crashcart.judging import judge
from crashcart.model.errors import ControlPlaneError
from crashcart.model.recording import SeriesSample
from crashcart.model.slo import Selector
from crashcart.model.truth import Truth
from crashcart.model.verdict import Outcome, Verdict
from crashcart.ports import LoadStatus
from crashcart.prometheus import PrometheusReader
from crashcart.recorder import Recorder
from crashcart.running import collect as collecting
from crashcart.running.clock import RunClock, now_mono_s
from crashcart.running.collect import collect
from crashcart.running.crew import Crew
from crashcart.running.interrupts import Interrupts
from crashcart.running.sli import Slis
from tests.contract.prometheus.stand_in import Points, Reply, StandIn, Stored, listening
from tests.unit.judging.recordings import MadeUp, Told, healthy
from tests.unit.running.fakes import (
    FakeInjector,
    FakeLoad,
    FakeOperator,
    FakeStack,
    FakeState,
    FakeView,
    FakeWatchdog,
)
from tests.unit.running.test_timeline import TOPOLOGY

NOW_S = 70.0
"""The run of a minute is over, and everything has settled."""
LAST_S = 90.0

Lie = Callable[[StandIn, float], None]
"""Makes a stand-in lie; the number is the wall clock at t0."""


class Settled(FakeLoad):
    def status(self) -> LoadStatus:
        return LoadStatus("settled", 100, 100, 0, 1.0)


def _as_scraped(samples: list[SeriesSample], t0: float) -> Stored:
    """Each second from before the start until long after the end."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in samples:
        series.setdefault((one.metric, one.labels), []).append((t0 + one.t, one.value))
    stored: list[tuple[dict[str, str], Points]] = []
    for (metric, labels), points in series.items():
        after = [(t0 + second, points[-1][1]) for second in range(65, int(LAST_S))]
        # whose calls they are is left open, as evidence allows it
        whose = {} if metric.startswith("link_") else {"instance": "load"}
        stored.append(({"__name__": metric, **json.loads(labels), **whose}, [*points, *after]))
    every_second = [t0 + second - 0.5 for second in range(int(LAST_S))]
    own = {"job": "load", "instance": "load"}
    stored.append(({"__name__": "up", **own}, [(t, 1.0) for t in every_second]))
    often = [(t0 + tenth / 10, 0.0) for tenth in range(int(LAST_S * 10))]
    stored.append(({"__name__": "shopper_in_flight", **own}, often))
    return stored


def _crew(made: MadeUp, folder: Path, url: str, clock: RunClock) -> Crew:
    without_books = Truth(sources={}, quiesce=made.plan.truth.quiesce, invariants=(), exclusions_sql="")
    plan = msgspec.structs.replace(made.plan, truth=without_books)
    return Crew(
        plan=plan,
        clock=clock,
        recorder=Recorder(folder),
        stack=FakeStack(TOPOLOGY),
        load=Settled(),
        injector=FakeInjector(),
        watchdog=FakeWatchdog(),
        slis=Slis(plan, PrometheusReader(url, timeout_s=1.0)),
        state=FakeState(),
        view=FakeView(),
        interrupts=Interrupts(),
        operator=FakeOperator(),
    )


def _judged(made: MadeUp, lie: Lie, folder: Path) -> Verdict:
    """What becomes of this run when its Prometheus tells so of it."""
    clock = RunClock(now_mono_s() - NOW_S)
    scraped = made._counters()
    made.drop_series, made.finished = (lambda metric, labels: True), False
    made.without_event("load-settled")
    made.write(folder)
    with listening(StandIn(_as_scraped(scraped, clock.t0_wall_s))) as prometheus:
        lie(prometheus, clock.t0_wall_s)
        crew = _crew(made, folder, prometheus.url, clock)
        collect(crew, folder, "completed")
    crew.recorder.close()  # type: ignore[attr-defined]
    made.finish(folder)
    return judge(folder)


def _honest(prometheus: StandIn, t0: float) -> None:
    """Tells all of it."""


def _only(keep: Callable[[dict[str, str], float], bool], *, but: tuple[str, ...] = ()) -> Lie:
    """Samples of which `keep(labels, seconds from t0)` is true; metrics named in `but` are told whole."""

    def lie(prometheus: StandIn, t0: float) -> None:
        left = [
            (labels, [(t, v) for t, v in points if labels["__name__"] in but or keep(dict(labels), t - t0)])
            for labels, points in prometheus.stored
        ]
        prometheus.stored = [(labels, points) for labels, points in left if points]

    return lie


def _moved(by_s: float, since_s: float) -> Lie:
    """What was scraped from then on is stamped by a clock that somebody has set."""

    def lie(prometheus: StandIn, t0: float) -> None:
        prometheus.stored = [
            (labels, [(t + by_s if t - t0 >= since_s else t, v) for t, v in points])
            for labels, points in prometheus.stored
        ]

    return lie


def _said(of: str, reply: Reply) -> Lie:
    """Questions about that are answered so."""

    def lie(prometheus: StandIn, t0: float) -> None:
        prometheus.lies = lambda question, honest: reply if question.startswith(of) else honest

    return lie


def _told_of(of: str, change: Callable[[list[dict[str, object]]], object]) -> Lie:
    """Answers about that are changed."""

    def lie(prometheus: StandIn, t0: float) -> None:
        def say(question: str, honest: Reply) -> Reply:
            if question == "targets" or not question.startswith(of):
                return honest
            told = json.loads(honest.body)
            told["data"]["result"] = change(told["data"]["result"])
            return Reply(200, json.dumps(told).encode())

        prometheus.lies = say

    return lie


def _a_cache_in_front(prometheus: StandIn, t0: float) -> None:
    """Answers every question about samples with what the first one of which something was known was answered."""
    held: list[Reply] = []

    def say(question: str, honest: Reply) -> Reply:
        if "[" not in question or question.startswith("shopper_in_flight"):
            return honest
        if held or honest.data["result"]:
            held.append(honest)
        return held[0] if held else honest

    prometheus.lies = say


def _knows_of_no_load(prometheus: StandIn, t0: float) -> None:
    prometheus.targets = ()
    _only(lambda labels, t: labels["__name__"] != "up")(prometheus, t0)


def _last_value_of(metric: str, value: str) -> Lie:
    def change(result: list[dict[str, object]]) -> object:
        for series in result:
            series["values"][-1][1] = value  # type: ignore[index]
        return result

    return _told_of(metric, change)


_ERROR = Reply(200, b'{"status":"error","errorType":"internal","error":"the head block is gone"}')
_PARTIAL = Reply(
    200, b'{"status":"success","warnings":["one store did not answer"],"data":{"resultType":"matrix","result":[]}}'
)
EVENTS, BUCKET, FAILURES = "shopper_events_total", "shopper_latency_seconds_bucket", "shopper_failures_total"

LIES: dict[str, tuple[Lie, str, str]] = {
    "misses scrapes": (_only(lambda labels, t: not 27.0 < t < 32.0), "scrapes", "nothing was scraped of load/load"),
    "restarts and has lost what was before": (_only(lambda labels, t: t >= 20.0), "scrapes", "from 0.0 s to"),
    "restarts and denies it": (
        _only(lambda labels, t: t >= 20.0, but=("up", "shopper_in_flight")),
        "gate-or-objective",
        "no data before",
    ),
    "is stale": (_only(lambda labels, t: t <= 50.0), "scrapes", "no scrape of the load after it had settled"),
    "is stale and denies it": (
        _only(lambda labels, t: t <= 50.0, but=("up", "shopper_in_flight")),
        "all-scraped",
        "counted",
    ),
    "lacks a cohort": (
        _only(lambda labels, t: labels.get("cohort") != "network:amex"),
        "counters-whole",
        "its cohorts do not add up",
    ),
    "lacks a cohort of failures alone": (
        _only(lambda labels, t: not (labels["__name__"] == FAILURES and labels.get("cohort") != "all")),
        "all-scraped",
        "was not scraped",
    ),
    "lacks every dishonest failure": (
        _only(lambda labels, t: not (labels["__name__"] == FAILURES and labels.get("honest") == "no")),
        "all-scraped",
        'honest="no"',
    ),
    "lacks a phase": (
        _only(lambda labels, t: not (labels["__name__"] == BUCKET and labels.get("phase") == "fault")),
        "all-scraped",
        "was not scraped",
    ),
    "lacks every second series": (_told_of(BUCKET, lambda result: result[::2]), "all-scraped", "was not scraped"),
    "answers 200 with an error inside": (_said(EVENTS, _ERROR), "scrapes", "the head block is gone"),
    "answers everything with an error inside": (_said("", _ERROR), "scrapes", "the head block is gone"),
    "answers in part and says so": (_said(EVENTS, _PARTIAL), "scrapes", "in part: one store did not answer"),
    "is still starting": (_said("", Reply(503, b"Service Unavailable")), "scrapes", "503"),
    "answers half of it": (
        _said(EVENTS, Reply(200, b'{"status":"success","data":{"resul')),
        "scrapes",
        "can not be read",
    ),
    "answers with another kind of result": (
        _said(EVENTS, Reply(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}')),
        "scrapes",
        "did not answer",
    ),
    "answers without values": (
        _told_of(EVENTS, lambda result: [{"metric": one["metric"]} for one in result]),
        "scrapes",
        "did not answer",
    ),
    "answers with words for numbers": (_last_value_of(EVENTS, "many"), "scrapes", "is not a number: many"),
    "answers with no number": (_last_value_of(EVENTS, "NaN"), "scrapes", "is not a number: NaN"),
    "answers with infinity": (_last_value_of(EVENTS, "+Inf"), "scrapes", "is not a number: +Inf"),
    "answers another question": (_a_cache_in_front, "scrapes", "was asked for"),
    "answers every question with nothing": (
        _told_of("", lambda result: []),
        "scrapes",
        "nothing was scraped of load/load from 0.0 s",
    ),
    "knows of no load": (_knows_of_no_load, "scrapes", "nothing was scraped of load/load from 0.0 s"),
    "has no targets to tell of": (
        _said("targets", Reply(200, b'{"status":"success","data":{}}')),
        "scrapes",
        "targets",
    ),
    "is stamped by a clock set forward": (_moved(30.0, since_s=40.0), "scrapes", "nothing was scraped of load/load"),
    "is stamped by a clock set back": (_moved(-300.0, since_s=40.0), "scrapes", "nothing was scraped of load/load"),
}
"""What it does → how, the check that finds it, and what that says."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stale is waited for in vain."""
    monkeypatch.setattr(collecting, "LAST_SCRAPE_WITHIN_S", 0.4)


def _failed(told: Told) -> None:
    told.outcome, told.honest = "failed", False


def test_a_prometheus_that_tells_all_of_it_makes_a_pass_of_a_healthy_run(tmp_path: Path) -> None:
    verdict = _judged(healthy(), _honest, tmp_path / "run")
    assert verdict.outcome is Outcome.PASS, [(check.name, check.detail) for check in verdict.validity if not check.ok]


def test_and_a_fail_of_one_that_failed(tmp_path: Path) -> None:
    made = healthy()
    made.spoil(_failed, 26, 30)
    assert _judged(made, _honest, tmp_path / "run").outcome is Outcome.FAIL


@pytest.mark.parametrize("name", LIES)
def test_a_prometheus_that_does_not_makes_a_pass_of_nothing(name: str, tmp_path: Path) -> None:
    lie, check, said = LIES[name]
    verdict = _judged(healthy(), lie, tmp_path / "run")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    troubles = {one.name: one.detail for one in verdict.validity if not one.ok}
    if check == "gate-or-objective":
        assert any(said in one.reason for one in verdict.objectives), [one.reason for one in verdict.objectives]
    else:
        assert said in troubles.get(check, ""), troubles
    failed = healthy()
    failed.spoil(_failed, 26, 30)
    assert _judged(failed, lie, tmp_path / "failed").outcome is not Outcome.PASS


def test_a_clock_that_is_set_while_samples_are_taken_down_is_put_down(tmp_path: Path) -> None:
    class Wall:
        asked = 0

        def __call__(self) -> float:
            self.asked += 1
            return time.time() + (7.0 if self.asked > 1 else 0.0)

    made = healthy()
    made.finished = False
    folder = made.write(tmp_path / "run")
    clock = RunClock(now_mono_s() - NOW_S, Wall())
    with listening(StandIn(_as_scraped([], clock.t0_wall_s))) as prometheus:
        crew = _crew(made, folder, prometheus.url, clock)
        collect(crew, folder, "completed")
    crew.recorder.close()  # type: ignore[attr-defined]
    assert '"event":"clock-step","data":{"by_s":7.' in (folder / "events.jsonl").read_text(encoding="utf-8")


def test_an_answer_that_trickles_is_given_up_in_time() -> None:
    """Each piece of it comes in time; all of it would take for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                try:
                    while True:
                        connection.sendall(b" ")
                        time.sleep(0.05)
                except OSError:
                    return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        began = time.monotonic()
        reader = PrometheusReader(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.3)
        with pytest.raises(ControlPlaneError, match="while the answer was still coming"):
            reader.latest(Selector("up"))
        assert time.monotonic() - began < 5.0
        thread.join(timeout=5.0)
