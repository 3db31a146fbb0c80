"""What faults on databases share: a Postgres service of the design, its instances, and the links that lead to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from crashcart.faults.base import BaseFault
from crashcart.model.design import Design, proxies, select_instances
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.hints import did_you_mean
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Instance, Topology
from crashcart.ports import Observation, Observer

_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
_TABLE = re.compile(rf"(?:({_IDENTIFIER})\.)?({_IDENTIFIER})")


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`inventory-db` means all its replicas, `inventory-db[0]` one."""

    database: str


class DatabaseFault(BaseFault):
    """Base of faults on a Postgres service. What is left to say: a title, what a step needs, how to look, do and undo.

    Every step's data has `address` (host:port of the server itself), `session` (the name of the sessions that the fault
    holds) and `note` (a file in the stack's throw-away folder, for what is known only when the fault is done).
    """

    kind: ClassVar[str]

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError where there is no such service, it is no Postgres, or nobody uses it."""
        assert isinstance(settings, DatabaseSettings)
        known = [name for name, service in design.services.items() if service.kind == "postgres"]
        name = settings.database.partition("[")[0]
        if name in design.services and name not in known:
            what = f"{name} is not a Postgres database but a service of kind {design.services[name].kind}"
            raise UsageError(what, remedy=did_you_mean(name, known, "databases"))
        found = select_instances(design, settings.database)
        if not _links_to(design, found):
            what = f"no link leads to {', '.join(found)}, so nobody would meet the fault"
            raise UsageError(what, remedy="break a database that a service uses")
        return found

    def links(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Those that lead to it."""
        return _links_to(design, self.targets(settings, design))

    def effect(self, settings: msgspec.Struct) -> Effect:
        """An observer sees it, on a session of its own."""
        return Effect("observed")

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance."""
        return tuple(self._step(settings, planned, topology, target) for target in planned.targets)

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer | None:
        """One that sees it where every instance shows it."""
        return _All([self.look_at(step) for step in self.steps(settings, planned, topology)])

    def data(self, settings: msgspec.Struct, instance: Instance) -> dict[str, Any]:
        """What else a step needs, as JSON."""
        raise NotImplementedError

    def look_at(self, step: Step) -> Observer:
        """Who looks for the effect of one step."""
        raise NotImplementedError

    def _step(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology, target: str) -> Step:
        instance = topology.instance(target)
        note = Path(topology.state_dir) / f"{planned.id}-{target}.note"
        common = {"address": instance.address, "session": f"crashcart-{planned.id}", "note": str(note)}
        return Step(self.kind, target, {**common, **self.data(settings, instance)})


def _links_to(design: Design, targets: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(proxy.link for proxy in proxies(design) if proxy.dependency in targets))


def kept_as(step: Step) -> str:
    """The key under which `World.keep` keeps what holds this step's effect."""
    return f"{step.data['session']} {step.target}"


def quoted_table(name: str) -> str:
    """`products` or `sales.products` → quoted for SQL. UsageError for what is not a plain name."""
    match = _TABLE.fullmatch(name)
    if match is None:
        what = f"{name!r} can't be named safely"
        raise UsageError(what, remedy="write table or schema.table, of letters, digits, _ and $, in their own case")
    return ".".join(f'"{part}"' for part in match.groups() if part)


def in_short(text: str, most: int = 60) -> str:
    """On one line, cut to so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


class _All:
    """Several observers as one: there where all see it."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def look(self) -> Observation:
        """The first that does not see it, else the last one's."""
        seen = Observation(there=False, note="there is nobody to look")
        for observer in self._observers:
            seen = observer.look()
            if not seen.there:
                break
        return seen

    def close(self) -> None:
        """All of them."""
        for observer in self._observers:
            observer.close()
