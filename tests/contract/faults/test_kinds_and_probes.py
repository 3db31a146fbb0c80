"""Every kind of fault, really done and undone, seen by the probes: what the plan promises is what is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.judging.looking import Probe
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.recording import ProbeSample
from crashcart.ports import FaultKind
from crashcart.probes import ProbeRunner
from crashcart.safety.faultlog import FaultLog
from crashcart.safety.injector import Injector
from tests.contract.safety.small_stack import DESIGN, SmallStack, broken, planned, wait_until

PAIRS = 6
MOST = 0.75
"""A busy machine may spoil a probe or two of a few; `plan` and the judge ask for 95 % of many."""


def _pairs(samples: Sequence[ProbeSample], since_s: float, proxies: Sequence[str]) -> list[Probe]:
    sides = {(one.proxy, one.t, one.side): one for one in samples if one.t >= since_s and one.proxy in proxies}
    twins = [
        (through, sides.get((proxy, t, "beside"))) for (proxy, t, side), through in sides.items() if side == "through"
    ]
    return [
        Probe(through.t, through.ok, through.ms, beside.ok, beside.ms, through.bytes, beside.bytes)
        for through, beside in twins
        if beside is not None
    ]


class Watch:
    def __init__(self, stack: SmallStack, effect: Effect) -> None:
        self.samples: list[ProbeSample] = []
        self.t0 = time.monotonic()
        names = [proxy.name for proxy in stack.topology.proxies]
        whole = names if effect.whole_answers else ()
        self.runner = ProbeRunner(stack.topology, names, self.samples.append, self.t0, whole)

    def some(self, proxies: Sequence[str]) -> list[Probe]:
        """The next so many pairs of each of these proxies."""
        since_s = time.monotonic() - self.t0
        found: Callable[[], list[Probe]] = lambda: _pairs(list(self.samples), since_s, proxies)  # noqa: E731
        wait_until(lambda: len(found()) >= PAIRS * len(proxies))
        return found()


def _shown(pairs: Sequence[Probe], effect: Effect) -> float:
    return sum(pair.shows(effect) for pair in pairs) / len(pairs)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("noop", {"link": "door.shop"}),
        ("toxiproxy/latency", {"link": "door.shop", "latency": "300ms"}),
        ("toxiproxy/latency", {"link": "door.shop[1]", "latency": "150ms", "jitter": "50ms", "direction": "upstream"}),
        ("toxiproxy/down", {"link": "door.shop"}),
        ("toxiproxy/down", {"link": "door.shop[0]"}),
        ("toxiproxy/timeout", {"link": "door.shop"}),
        ("toxiproxy/timeout", {"link": "door.shop[1]", "timeout": "200ms", "direction": "upstream"}),
        ("toxiproxy/bandwidth", {"link": "door.shop", "rate_kb_s": 100}),
        ("toxiproxy/bandwidth", {"link": "door.shop[0]", "rate_kb_s": 5}),
        ("toxiproxy/bandwidth", {"link": "door.shop", "rate_kb_s": 16, "direction": "upstream"}),
        ("toxiproxy/reset", {"link": "door.shop"}),
        ("toxiproxy/reset", {"link": "door.shop[1]", "after": "300ms", "direction": "upstream"}),
        ("toxiproxy/slicer", {"link": "door.shop", "size": 500, "variation": 100, "delay": "10ms"}),
        ("toxiproxy/slicer", {"link": "door.shop[0]", "size": 1024, "delay": "5ms"}),
        ("toxiproxy/limit-data", {"link": "door.shop", "bytes": 1000}),
        ("toxiproxy/flaky", {"link": "door.shop", "share": 0.5}),
        ("toxiproxy/flaky", {"link": "door.shop[1]", "share": 0.5, "how": "timeout"}),
        ("service/kill", {"service": "shop[1]"}),
    ],
)
def test_a_fault_is_measured_while_it_is_there_and_neither_before_nor_after(
    small_stack: SmallStack, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    fault = planned(kind, settings)
    if kind == "toxiproxy/flaky":
        fault = msgspec.structs.replace(fault, slices=((0.0, 60.0),))
    others = [proxy.name for proxy in small_stack.topology.proxies if proxy.name not in fault.watched]
    nothing = Effect("none", at_least_ms=100.0)
    injector = Injector(FaultLog(tmp_path / "log"), small_stack, registry())
    watch = Watch(small_stack, fault.effect)
    watch.runner.start()
    try:
        assert _shown(watch.some(fault.watched), nothing) >= MOST
        injector.inject(fault, small_stack.topology, time.monotonic() + 60)
        assert _shown(watch.some(fault.watched), fault.effect) >= MOST
        if others:
            assert _shown(watch.some(others), nothing) >= MOST
        injector.undo(fault.id)
        assert _shown(watch.some(fault.watched), nothing) >= MOST
    finally:
        watch.runner.stop()


def test_the_example_of_the_docs_works_as_it_stands(small_stack: SmallStack) -> None:
    page = Path(__file__).parents[3] / "docs" / "31-write-a-fault.md"
    code = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    module: dict[str, Any] = {}
    exec(compile(code, str(page), "exec", dont_inherit=True), module)
    fault: FaultKind = module["FAULT"]
    settings = decode_settings(fault, {"link": "door.shop"})
    targets = fault.targets(settings, DESIGN)
    made = PlannedFault("f1", fault.kind, {}, "", targets, targets, (), 0.0, 10.0, fault.effect(settings))
    steps = fault.steps(settings, made, small_stack.topology)
    watch = Watch(small_stack, fault.effect(settings))
    watch.runner.start()
    try:
        for step in steps:
            fault.undo(step, small_stack)
            fault.apply(step, small_stack)
        assert _shown(watch.some(targets), fault.effect(settings)) >= MOST
        for step in (*steps, *steps):
            fault.undo(step, small_stack)
        assert _shown(watch.some(targets), Effect("none", at_least_ms=100.0)) >= MOST
    finally:
        watch.runner.stop()


TWICE: list[tuple[str, dict[str, object]]] = [
    ("noop", {}),
    ("toxiproxy/latency", {"latency": "300ms"}),
    ("toxiproxy/down", {}),
    ("toxiproxy/timeout", {}),
    ("toxiproxy/bandwidth", {"rate_kb_s": 10}),
    ("toxiproxy/reset", {"after": "200ms"}),
    ("toxiproxy/slicer", {"size": 100, "delay": "10ms"}),
    ("toxiproxy/limit-data", {"bytes": 100}),
    ("toxiproxy/flaky", {"share": 0.5}),
    ("toxiproxy/flaky", {"share": 0.5, "how": "timeout"}),
    ("service/kill", {"service": "shop"}),
]


@pytest.mark.parametrize(("kind", "raw"), TWICE)
def test_a_fault_is_undone_twice_or_without_having_been_done_and_nothing_is_the_worse(
    small_stack: SmallStack, kind: str, raw: dict[str, object]
) -> None:
    if "service" not in raw:
        raw = {"link": "door.shop", **raw}
    fault = registry()[kind]
    made = planned(kind, dict(raw))
    steps = fault.steps(decode_settings(fault, raw), made, small_stack.topology)
    for step in steps:
        fault.undo(step, small_stack)
    assert broken(small_stack.topology) == []
    for step in steps:
        fault.apply(step, small_stack)
    for _ in range(2):
        for step in steps:
            fault.undo(step, small_stack)
    assert broken(small_stack.topology) == []
