"""`crashcart_fault_active` as Prometheus reads it: 1 from when a fault is injected until it is undone, else 0.

Faults show in dashboards by this gauge alone. Everything here is read from the harness's own exporter, over the wire.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from crashcart.harnessmetrics import HarnessMetrics
from crashcart.model.errors import ControlPlaneError
from crashcart.model.plan import Plan
from crashcart.running.hands import Hands
from tests.unit.running.fakes import FakeReader
from tests.unit.running.test_run import Whole, whole
from tests.unit.running.test_timeline import _crew, demo, fast

__all__ = ["whole"]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def active(metrics: HarnessMetrics) -> dict[tuple[str, str, str], float]:
    """By fault, kind and target."""
    with _OPENER.open(f"http://{metrics.address}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = [one for family in families for one in family.samples if one.name == "crashcart_fault_active"]
    return {(one.labels["fault"], one.labels["kind"], one.labels["target"]): one.value for one in samples}


@dataclass
class Looks:
    """What the gauge of each fault was, each time that somebody looked."""

    metrics: HarnessMetrics
    seen: list[tuple[str, dict[str, float]]] = field(default_factory=list)

    def look(self, when: str) -> None:
        self.seen.append((when, {fault: value for (fault, _, _), value in active(self.metrics).items()}))


@pytest.fixture
def made() -> Plan:
    """Of two faults: the second begins when the first is over."""
    one = fast(demo())
    first = msgspec.structs.replace(one.faults[0], start_s=0.5, end_s=0.7)
    second = msgspec.structs.replace(one.faults[0], id="f2", start_s=0.8, end_s=0.9)
    return msgspec.structs.replace(one, faults=(first, second))


@pytest.fixture
def metrics(made: Plan) -> Iterator[HarnessMetrics]:
    exporter = HarnessMetrics(made)
    yield exporter
    exporter.close()


def test_every_target_of_every_fault_is_there_from_the_start_and_none_is_active(
    made: Plan, metrics: HarnessMetrics
) -> None:
    targets = {(fault.id, fault.kind, target) for fault in made.faults for target in fault.targets}
    assert len(targets) >= 2
    assert active(metrics) == dict.fromkeys(targets, 0.0)


def test_a_fault_is_active_from_its_injection_to_its_undoing_and_no_other_is(
    made: Plan, metrics: HarnessMetrics
) -> None:
    run, looks = _run(made, metrics), Looks(metrics)
    run.injector.on_inject = partial(looks.look, "injecting")
    run.injector.on_undo = partial(looks.look, "undoing")
    hands = Hands(run.crew)
    for t, when in ((0.5, "f1 is there"), (0.7, "f1 is gone"), (0.8, "f2 is there"), (0.9, "f2 is gone")):
        assert _done(hands, t)
        looks.look(when)
    assert looks.seen == [
        ("injecting", {"f1": 0.0, "f2": 0.0}),
        ("f1 is there", {"f1": 1.0, "f2": 0.0}),
        ("undoing", {"f1": 1.0, "f2": 0.0}),
        ("f1 is gone", {"f1": 0.0, "f2": 0.0}),
        ("injecting", {"f1": 0.0, "f2": 0.0}),
        ("f2 is there", {"f1": 0.0, "f2": 1.0}),
        ("undoing", {"f1": 0.0, "f2": 1.0}),
        ("f2 is gone", {"f1": 0.0, "f2": 0.0}),
    ]


def _run(made: Plan, metrics: HarnessMetrics) -> SimpleNamespace:
    run = _crew(made, FakeReader())
    run.crew.state = metrics
    return run


def _done(hands: Hands, t: float) -> bool:
    """Whether all that is due at that second could be done."""
    hands.act(t)
    well = True
    while hands.busy:
        well = hands.settle() and well
    return well


def _refuse() -> None:
    raise ControlPlaneError("no answer within 2 s")


def test_a_fault_that_could_not_be_injected_was_never_active(made: Plan, metrics: HarnessMetrics) -> None:
    run = _run(made, metrics)
    run.injector.on_inject = _refuse
    assert not _done(Hands(run.crew), 0.5)
    assert set(active(metrics).values()) == {0.0}


def test_a_fault_that_could_not_be_undone_stays_active(made: Plan, metrics: HarnessMetrics) -> None:
    run = _run(made, metrics)
    hands = Hands(run.crew)
    assert _done(hands, 0.5)
    run.injector.on_undo = _refuse
    assert not _done(hands, 0.7)
    assert {fault for (fault, _, _), value in active(metrics).items() if value == 1.0} == {"f1"}


@pytest.mark.parametrize(("left", "expected"), [((), 0.0), (("f1 could not be undone: no answer",), 1.0)])
def test_what_an_abort_undid_is_no_longer_active_while_the_books_are_read(
    whole: Whole, left: tuple[str, ...], expected: float
) -> None:
    made = fast(demo())
    exporter = HarnessMetrics(made)
    looks = Looks(exporter)
    for fault in made.faults:
        exporter.fault(fault, active=True)
    whole.state, whole.injector.not_undone = exporter, [left]
    whole.load.on_stop = partial(looks.look, "the load is told to end")
    assert whole.go() == "gate-closed"
    assert looks.seen == [("the load is told to end", {"f1": expected})]
