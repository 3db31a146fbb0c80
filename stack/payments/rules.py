"""What to do next with a charge: pure rules over what a processor said.

Money may be captured at one processor only while it is certain that no other has it or can still get it. Proof that
a processor has nothing: the request never left (`NOT_SENT`), it refused it (`REFUSED`), it says that it failed
(`FAILED`), or it has voided the key, which also stops a request that is still on its way (`VOIDED`). "I know of no
such charge" (`ABSENT`) is no proof: processors answer look-ups late, and a request may be on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Heard(Enum):
    """What is known after asking a processor something about one attempt."""

    CAPTURED = "captured"
    DECLINED = "declined"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    FAILED = "failed"
    VOIDED = "voided"
    ABSENT = "absent"
    IN_DOUBT = "in_doubt"
    UNREACHABLE = "unreachable"


class Step(Enum):
    """What to do about it."""

    CAPTURED = "captured"
    DECLINED = "declined"
    NEXT = "next"
    LOOK_UP = "look_up"
    VOID = "void"
    LEAVE = "leave"


class Failover(Enum):
    """How another processor is used: after proof, never, or at once without proof (which can charge twice)."""

    SAFE = "safe"
    NONE = "none"
    BLIND = "blind"


_STEPS = {
    Heard.CAPTURED: Step.CAPTURED,
    Heard.DECLINED: Step.DECLINED,
    Heard.REFUSED: Step.NEXT,
    Heard.NOT_SENT: Step.NEXT,
    Heard.FAILED: Step.NEXT,
    Heard.VOIDED: Step.NEXT,
    Heard.ABSENT: Step.VOID,
    Heard.IN_DOUBT: Step.LOOK_UP,
    Heard.UNREACHABLE: Step.LEAVE,
}

CLOSED_AS = {
    Heard.REFUSED: "refused",
    Heard.NOT_SENT: "not_sent",
    Heard.FAILED: "failed",
    Heard.VOIDED: "voided",
    Heard.IN_DOUBT: "abandoned",
}
"""The state an attempt ends in when it is proven (or, blindly, assumed) that it charged nothing."""


def step_after(heard: Heard, failover: Failover) -> Step:
    """The step that follows, while a shopper waits."""
    if heard is Heard.IN_DOUBT and failover is Failover.BLIND:
        return Step.NEXT
    return _STEPS[heard]


def step_in_background(heard: Heard, age_s: float, settle_s: float, unwanted: bool) -> Step:
    """The step that follows when nobody waits: a late processor gets time to find the charge before it is voided.

    `unwanted`: the order was given up, so the charge is voided however young it is.
    """
    if heard is Heard.ABSENT and age_s < settle_s and not unwanted:
        return Step.LEAVE
    return _STEPS[heard]


@dataclass(frozen=True, slots=True)
class Routing:
    """Which processor takes a card network first: `routes` by network, `*` for the others; `processors` in order."""

    processors: tuple[str, ...]
    routes: Mapping[str, str]
    failover: Failover

    def candidates(self, network: str, usable: Collection[str], tried: Sequence[str] = ()) -> list[str]:
        """Processors to try, best first: the network's own, then the others; those known to be down last.

        Those tried already come no more; without failover there is the network's own alone.
        """
        own = self.routes.get(network, self.routes["*"])
        if self.failover is Failover.NONE:
            return [] if own in tried else [own]
        order = [own, *(name for name in self.processors if name != own)]
        return sorted((name for name in order if name not in tried), key=lambda name: name not in usable)

    def state(self, healthy: Collection[str]) -> str:
        """`up`: every network has a healthy processor that may take it; `degraded`: some have; `down`: none."""
        served = [any(name in healthy for name in self.candidates(network, healthy)) for network in self.routes]
        return "up" if all(served) else "degraded" if any(served) else "down"


def parse_routing(processors: str, routes: str, failover: str) -> Routing:
    """From settings like `psp-a,psp-b`, `visa=psp-a,*=psp-b` and `safe`; ValueError says what is wrong."""
    names = tuple(name.strip() for name in processors.split(",") if name.strip())
    if not names:
        raise ValueError("PROCESSORS names no processor, e.g. PROCESSORS=psp-a,psp-b")
    by_network = {"*": names[0]}
    for part in filter(None, (part.strip() for part in routes.split(","))):
        network, equals, name = part.partition("=")
        if not equals or name not in names:
            raise ValueError(f"ROUTES part {part!r} is not network=processor with a processor of {', '.join(names)}")
        by_network[network] = name
    try:
        chosen = Failover(failover)
    except ValueError:
        raise ValueError(f"FAILOVER={failover!r} is unknown; it must be safe, none or blind") from None
    return Routing(names, by_network, chosen)
