"""A bad line: a share of the packets that are sent to a service's container never arrive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import sqrt
from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceFault, ServiceSettings
from crashcart.model.design import Design
from crashcart.model.errors import CrashcartError, UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, Observation, Observer, World
from crashcart.runtimes.echoes import WAIT_S, WINDOW_S, Echoes
from crashcart.runtimes.packet_loss import lose, stop_losing
from crashcart.runtimes.readiness import split
from crashcart.runtimes.stopping import pids_of

LEAST, MOST = 0.05, 0.9
DEVIATIONS = 4.0
"""Of the binomial distribution: one look in 15,000 is further off by chance."""
AGO_S = WAIT_S + WINDOW_S / 2
"""A look tells of the echoes around that moment: less than half a second to either side, and a run leaves that out."""


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """`share` of the packets that come in, each drawn for itself; 0.1 is a very bad line."""

    share: float


class Loss(ServiceFault):
    """`network/loss: {service: inventory-db, share: 0.1}`."""

    kind: ClassVar[str] = "network/loss"
    summary: ClassVar[str] = "A share of the packets that are sent to a service get lost."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    least_s: ClassVar[float] = 5.0

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError for a share that can't be told from none, or from all."""
        assert isinstance(settings, Settings)
        if not LEAST <= settings.share <= MOST:
            what = f"a share of {settings.share:g} can't be shown"
            raise UsageError(what, remedy=f"from {LEAST:g} to {MOST:g}; for all of it there is network/partition")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`10 % of the packets to inventory-db get lost`."""
        assert isinstance(settings, Settings)
        return f"{settings.share * 100:g} % of the packets to {settings.service} get lost"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Echoes that are asked for beside all proxies, and do not come."""
        assert isinstance(settings, Settings)
        return Effect("observed", settle_s=0.5, share=settings.share)

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer:
        """Of every instance."""
        assert isinstance(settings, Settings)
        return LostEchoes([split(topology.instance(one).address)[0] for one in planned.targets], settings.share)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance, with the share."""
        assert isinstance(settings, Settings)
        plain = super().steps(settings, planned, topology)
        return tuple(Step(step.kind, step.target, {**step.data, "share": settings.share}) for step in plain)

    def apply(self, step: Step, world: World) -> None:
        """From now on."""
        pids = pids_of(world.topology, step.target)
        if not pids:
            raise CrashcartError("it does not run, so nothing can be lost on its way to it", where=step.target)
        lose(min(pids), step.data["share"])

    def undo(self, step: Step, world: World) -> None:
        """An instance that was started again meanwhile has lost nothing since."""
        pids = pids_of(world.topology, step.target)
        if pids:
            stop_losing(min(pids), step.data["share"])


class LostEchoes:
    """Implements `ports.Observer`."""

    def __init__(self, addresses: Sequence[str], share: float) -> None:
        """There when on the way to each of them the declared share gets lost, as nearly as chance has it."""
        self._echoes = [Echoes(address) for address in addresses]
        self._share = share
        self._counted_until_s = 0.0

    def look(self) -> Observation:
        """Its value is the share that is furthest from the declared one; what it counts, it counts once, of all."""
        until_s = time.monotonic() - WAIT_S
        counts = [echoes.lost(until_s - WINDOW_S, until_s) for echoes in self._echoes]
        if not all(asked for _, asked in counts):
            return Observation(there=False, note="nothing was asked for yet", ago_s=AGO_S)
        shares: list[float] = [lost / asked for lost, asked in counts]
        there = all(lost and _within(lost, asked, self._share) for lost, asked in counts)
        worst = max(shares, key=self._off)
        lost, asked = self._since_the_last_look(until_s)
        return Observation(there, round(worst, 4), ago_s=AGO_S, part=lost, whole=asked)

    def _since_the_last_look(self, until_s: float) -> tuple[int, int]:
        since_s = max(self._counted_until_s, until_s - WINDOW_S)
        self._counted_until_s = until_s
        fresh = [echoes.lost(since_s, until_s) for echoes in self._echoes]
        return sum(lost for lost, _ in fresh), sum(asked for _, asked in fresh)

    def _off(self, share: float) -> float:
        return abs(share - self._share)

    def close(self) -> None:
        """End the threads."""
        for echoes in self._echoes:
            echoes.close()


def _within(lost: int, asked: int, share: float) -> bool:
    """Whether so many can be lost by chance: the normal approximation of the binomial distribution."""
    return abs(lost - asked * share) <= DEVIATIONS * sqrt(asked * share * (1 - share))


FAULT: FaultKind = Loss()
