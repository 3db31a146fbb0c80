"""A link that fails for a share of the time, by a schedule drawn from the run's seed.

Toxicity is drawn once a connection, so with pooled connections "30 %" of it means all or nothing. A share of time is
felt by all of them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from crashcart.faults.links import LinkFault, LinkSettings, toxic_name
from crashcart.faults.switching import Act, Switch, draw_slices
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault, Slices
from crashcart.model.topology import Topology
from crashcart.model.units import Duration
from crashcart.ports import FaultKind, World
from crashcart.toxiproxy import ToxicSpec, Toxiproxy

LEAST_SLICE_S, MOST_SLICE_S = 1.0, 60.0
"""In less than a second four probes a second see too little."""
CALL_WITHIN_S = 1.0
"""Of one switching: whoever ends it waits for those that are under way."""


class Settings(LinkSettings, frozen=True, forbid_unknown_fields=True):
    """`how: down` cuts and refuses connections; `timeout` swallows what is sent, until the slice is over."""

    share: float
    slice: Duration = msgspec.field(default_factory=lambda: Duration(1.0))
    how: Literal["down", "timeout"] = "down"


class Flaky(LinkFault):
    """`toxiproxy/flaky: {link: payments.psp-a, share: 0.3, slice: 2s, how: down}`."""

    kind: ClassVar[str] = "toxiproxy/flaky"
    summary: ClassVar[str] = "A link fails for a share of the time, in slices drawn from the run's seed."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for a share or a slice that can't be done or shown."""
        assert isinstance(settings, Settings)
        if not 0 < settings.share < 1:
            raise UsageError(f"a share of {settings.share:g} can't be", remedy="more than 0, less than 1, such as 0.3")
        if not LEAST_SLICE_S <= settings.slice <= MOST_SLICE_S:
            raise UsageError(f"a slice of {settings.slice!r} can't be done, or not shown", remedy="1s to 60s")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`payments.psp-a is down 30% of the time, in slices of 2s`."""
        assert isinstance(settings, Settings)
        what = "is down" if settings.how == "down" else "answers nothing"
        return f"{settings.link} {what} {settings.share:.0%} of the time, in slices of {settings.slice!r}"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Within its slices nobody answers through the proxy; beside it somebody does."""
        return Effect("unreachable")

    def slices(self, settings: msgspec.Struct, fault_id: str, seed: int, lasts_s: float) -> Slices:
        """Drawn from seed and id. UsageError where the fault is too short for a share of its slices."""
        assert isinstance(settings, Settings)
        try:
            return draw_slices(settings.share, settings.slice, lasts_s, f"{seed}/{fault_id}")
        except ValueError as problem:
            raise UsageError(str(problem), remedy="a longer fault, shorter slices, or another share") from problem

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One a proxy, with the whole schedule."""
        assert isinstance(settings, Settings)
        data = {
            "api": topology.toxiproxy_api,
            "toxic": toxic_name(planned),
            "how": settings.how,
            "slices": [list(span) for span in planned.slices],
        }
        return tuple(Step(self.kind, target, data) for target in planned.targets)

    def apply(self, step: Step, world: World) -> None:
        """Mark the proxy with a toxic that does nothing, and begin to switch: who takes the mark off ends it."""
        slices = tuple((float(from_s), float(to_s)) for from_s, to_s in step.data["slices"])
        Toxiproxy(step.data["api"]).add_toxic(step.target, ToxicSpec(step.data["toxic"], "noop"))
        world.keep(_key(step), Switch(slices, _act(step), f"flaky {step.target}"))

    def undo(self, step: Step, world: World) -> None:
        """End the switching, wherever it goes on: the mark goes first, then what it switches."""
        world.let_go(_key(step))
        Toxiproxy(step.data["api"]).remove_toxic(step.target, step.data["toxic"])
        _act(step).off()


def _key(step: Step) -> str:
    return f"{step.data['toxic']} {step.target}"


def _act(step: Step) -> Act:
    toxiproxy, mark, proxy = Toxiproxy(step.data["api"], CALL_WITHIN_S), str(step.data["toxic"]), step.target
    swallow = ToxicSpec(f"{mark}-swallow", "timeout", attributes={"timeout": 0})

    def allowed() -> bool:
        return mark in toxiproxy.toxics(proxy)

    if step.data["how"] == "down":
        return Act(allowed, lambda: toxiproxy.set_enabled(proxy, False), lambda: toxiproxy.set_enabled(proxy, True))

    def on() -> None:
        toxiproxy.add_toxic(proxy, swallow)

    return Act(allowed, on, lambda: toxiproxy.remove_toxic(proxy, swallow.name))


FAULT: FaultKind = Flaky()
