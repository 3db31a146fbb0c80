"""Faults that lie, really injected through a real Toxiproxy: the probes see it, and the judge believes the probes.

Two kinds lie at once, each on a proxy of its own: one that has a strength, and one that has none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import pytest

from crashcart.faults import registry
from crashcart.judging.counters import Counters, Series
from crashcart.judging.evidence import judge_evidence
from crashcart.judging.looking import Probe, Samples
from crashcart.judging.windows import Window
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.model.recording import ProbeSample
from crashcart.model.verdict import EvidenceResult
from crashcart.ports import FaultKind, World
from crashcart.probes import ProbeRunner
from crashcart.safety.faultlog import FaultLog
from crashcart.safety.injector import Injector
from tests.contract.safety.small_stack import SmallStack, broken, planned

BEFORE_S, FAULT_S, AFTER_S = 3.5, 6.0, 4.0
FIRST, SECOND = "door[0].shop[0]", "door[0].shop[1]"
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("toxiproxy/latency", {"link": "door.shop[0]", "latency": "200ms"}),
    ("toxiproxy/down", {"link": "door.shop[1]"}),
)
Do = Callable[[FaultKind, Step, World], None]


class Lie(NamedTuple):
    """What is really done."""

    apply: Do
    undo: Do
    said: tuple[str, str]
    """Of the one with a strength, and of the other one; empty: that one is true."""


class Lying:
    """A fault kind that says what it always says, and does something else."""

    def __init__(self, honest: FaultKind, lie: Lie) -> None:
        self._honest = honest
        self._lie = lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)

    def apply(self, step: Step, world: World) -> None:
        self._lie.apply(self._honest, step, world)

    def undo(self, step: Step, world: World) -> None:
        self._lie.undo(self._honest, step, world)


def _do(kind: FaultKind, step: Step, world: World) -> None:
    kind.apply(step, world)


def _undo(kind: FaultKind, step: Step, world: World) -> None:
    kind.undo(step, world)


def _nothing(kind: FaultKind, step: Step, world: World) -> None:
    """Silently."""


def _elsewhere(step: Step) -> Step:
    return msgspec.structs.replace(step, target=SECOND if step.target == FIRST else FIRST)


def _on_another_link(kind: FaultKind, step: Step, world: World) -> None:
    kind.apply(_elsewhere(step), world)


def _undo_on_another_link(kind: FaultKind, step: Step, world: World) -> None:
    kind.undo(_elsewhere(step), world)


def _half(kind: FaultKind, step: Step, world: World) -> None:
    attributes = step.data.get("attributes", {})
    halved = {name: value // 2 for name, value in attributes.items()}
    kind.apply(msgspec.structs.replace(step, data={**step.data, "attributes": halved}), world)


def _for_a_while(kind: FaultKind, step: Step, world: World) -> None:
    kind.apply(step, world)
    threading.Timer(FAULT_S / 2, kind.undo, (step, world)).start()


NEVER, EARLY, STAYS = "only 0 % of the probes", "of the probes during the fault showed it", "outside the fault"
LIES = {
    "nothing": Lie(_nothing, _undo, (NEVER, NEVER)),
    "another link": Lie(_on_another_link, _undo_on_another_link, (NEVER, NEVER)),
    "half as strong": Lie(_half, _undo, (NEVER, "")),
    "ends early": Lie(_for_a_while, _undo, (EARLY, EARLY)),
    "outlives its phase": Lie(_do, _nothing, (STAYS, STAYS)),
}
TRUE = Lie(_do, _undo, ("", ""))


def _faults() -> tuple[PlannedFault, ...]:
    return tuple(planned(kind, dict(raw), f"f{number}") for number, (kind, raw) in enumerate(KINDS, start=1))


@contextmanager
def _probing(stack: SmallStack, t0: float) -> Iterator[list[ProbeSample]]:
    samples: list[ProbeSample] = []
    runner = ProbeRunner(stack.topology, [FIRST, SECOND], samples.append, t0, ())
    runner.start()
    try:
        yield samples
    finally:
        runner.stop()


def _paired(samples: Sequence[ProbeSample], proxy: str) -> list[Probe]:
    beside = {one.t: one for one in samples if one.proxy == proxy and one.side == "beside"}
    through = [one for one in samples if one.proxy == proxy and one.side == "through"]
    return [Probe(one.t, one.ok, one.ms, beside[one.t].ok, beside[one.t].ms) for one in through if one.t in beside]


def _busy_clients() -> Counters:
    times = tuple(float(second) for second in range(-1, 60))
    calls = tuple(10.0 * max(t, 0.0) for t in times)
    return Counters([Series("link_calls_total", {"link": "door.shop", "outcome": "ok"}, times, calls)])


def _evidence(stack: SmallStack, lie: Lie, log: Path) -> list[EvidenceResult]:
    """Both faults, injected, undone and judged as a run does it."""
    faults = _faults()
    injector = Injector(
        FaultLog(log), stack, {kind: cast(FaultKind, Lying(registry()[kind], lie)) for kind, _ in KINDS}
    )
    t0 = time.monotonic()

    def now() -> float:
        return time.monotonic() - t0

    injected: dict[str, tuple[float, float]] = {}
    undone: dict[str, tuple[float, float]] = {}
    with _probing(stack, t0) as samples:
        time.sleep(BEFORE_S)
        for fault in faults:
            began = now()
            injector.inject(fault, stack.topology, time.monotonic() + 60.0)
            injected[fault.id] = (began, now())
        time.sleep(FAULT_S)
        for fault in faults:
            began = now()
            injector.undo(fault.id)
            undone[fault.id] = (began, now())
        time.sleep(AFTER_S)
    windows = {
        one.id: Window(injected[one.id][1], undone[one.id][0], undone[one.id][1], injected[one.id][0]) for one in faults
    }
    seen = Samples({proxy: _paired(samples, proxy) for proxy in (FIRST, SECOND)}, {})
    return [judge_evidence(fault, windows, faults, seen, _busy_clients()) for fault in faults]


def test_faults_that_do_what_they_say_are_shown(small_stack: SmallStack, tmp_path: Path) -> None:
    seen = _evidence(small_stack, TRUE, tmp_path / "log")
    assert [one.ok for one in seen] == [True, True], [one.detail for one in seen]
    assert broken(small_stack.topology) == []


@pytest.mark.parametrize("name", LIES)
def test_faults_that_do_something_else_are_not_shown(small_stack: SmallStack, tmp_path: Path, name: str) -> None:
    lie = LIES[name]
    for one, said in zip(_evidence(small_stack, lie, tmp_path / "log"), lie.said, strict=True):
        assert one.ok is (not said), one.detail
        assert said in one.detail
