"""Faults on services, done to real processes and looked at with real probes or by their own observers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.recording import ProbeSample
from crashcart.probes import ProbeRunner
from crashcart.safety.faultlog import FaultLog
from crashcart.safety.injector import Injector
from tests.contract.safety.small_stack import SmallStack, broken, planned, wait_until

LOOKS = 6


class Watch:
    """Probes beside the proxies of the small stack."""

    def __init__(self, stack: SmallStack, proxies: Sequence[str]) -> None:
        self.samples: list[ProbeSample] = []
        self.t0 = time.monotonic()
        self.runner = ProbeRunner(stack.topology, proxies, self.samples.append, self.t0)

    def all_beside(self, ok: bool, count: int) -> None:
        """Wait until the last `count` probes beside any proxy, sent from now on, say so."""
        since_s = time.monotonic() - self.t0
        found: Callable[[], list[bool]] = lambda: [  # noqa: E731
            one.ok for one in list(self.samples) if one.side == "beside" and one.t >= since_s
        ]
        wait_until(lambda: found()[-count:] == [ok] * count)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("service/pause", {"service": "shop"}),
        ("service/pause", {"service": "shop[1]"}),
        ("service/kill", {"service": "shop[0]", "how": "terminate"}),
    ],
)
def test_nobody_answers_beside_the_proxy_while_it_lasts_and_everybody_after(
    small_stack: SmallStack, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    fault = planned(kind, settings)
    injector = Injector(FaultLog(tmp_path / "log"), small_stack, registry())
    watch = Watch(small_stack, fault.watched)
    count = LOOKS * len(fault.watched)
    watch.runner.start()
    try:
        watch.all_beside(True, count)
        injector.inject(fault, small_stack.topology, time.monotonic() + 60)
        watch.all_beside(False, count)
        injector.undo(fault.id)
        watch.all_beside(True, count)
    finally:
        watch.runner.stop()
    assert broken(small_stack.topology) == []


@pytest.mark.parametrize(
    ("kind", "settings"), [("service/pause", {"service": "shop"}), ("service/kill", {"service": "shop", "how": "kill"})]
)
def test_what_was_never_done_or_is_undone_twice_leaves_nothing_the_worse(
    small_stack: SmallStack, kind: str, settings: dict[str, Any]
) -> None:
    fault = registry()[kind]
    steps = fault.steps(decode_settings(fault, settings), planned(kind, settings), small_stack.topology)
    for step in steps:
        fault.undo(step, small_stack)
    assert broken(small_stack.topology) == []
    for step in steps:
        fault.apply(step, small_stack)
    for step in (*steps, *steps):
        fault.undo(step, small_stack)
    assert broken(small_stack.topology) == []
