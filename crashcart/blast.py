"""The blast radius of a plan: what will be broken, and who will feel it. Pure: the design's links say all of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from crashcart.model.design import SHOPPERS, Design, instances
from crashcart.model.plan import Plan, PlannedFault

STORES = ("postgres", "valkey")


class Broken(msgspec.Struct, frozen=True):
    """One fault, for people."""

    title: str
    kind: str
    what: tuple[str, ...]
    """`link payments.psp-a (1 of 1 pair)`, `database orders-db`, `service checkout (1 of 2 replicas)`."""
    start_s: float
    """From t0."""
    lasts_s: float
    reaches: tuple[str, ...]
    """Who depends on it, directly or through others, nearest first; `shoppers` is the load."""
    spared: tuple[str, ...]
    """Services that don't."""
    intents: float
    """Purchase intents planned while it lasts."""


def blast_radius(plan: Plan) -> tuple[Broken, ...]:
    """What each fault breaks, in the order of time."""
    faults = sorted(plan.faults, key=lambda fault: (fault.start_s, fault.id))
    return tuple(_broken(plan, fault) for fault in faults)


def dependants(design: Design, services: Iterable[str]) -> tuple[str, ...]:
    """Whoever calls one of them, directly or through others, nearest first; the shoppers last where they do."""
    callers = _callers(design)
    found: list[str] = []
    edge = list(dict.fromkeys(services))
    seen = set(edge)
    while edge:
        edge = [caller for service in edge for caller in callers.get(service, ()) if caller not in seen]
        edge = list(dict.fromkeys(edge))
        seen.update(edge)
        found += edge
    return tuple(sorted(found, key=lambda name: name == SHOPPERS))


def _callers(design: Design) -> Mapping[str, list[str]]:
    callers: dict[str, list[str]] = {design.entry: [SHOPPERS]}
    for name, service in design.services.items():
        for dependency in service.links:
            callers.setdefault(dependency, []).append(name)
    return callers


def _broken(plan: Plan, fault: PlannedFault) -> Broken:
    design = plan.design
    links = {target: target.split(".") for target in fault.targets if "." in target}
    clients = tuple(dict.fromkeys(client.split("[")[0] for client, _ in links.values()))
    hit = tuple(dict.fromkeys(target.split("[")[0] for target in fault.targets if target not in links))
    reached = dependants(design, (*clients, *hit))
    felt = (*(client for client in clients if client != SHOPPERS), *(name for name in reached if name not in clients))
    if SHOPPERS in clients and SHOPPERS not in felt:
        felt = (*felt, SHOPPERS)
    return Broken(
        title=fault.title,
        kind=fault.named or fault.kind,
        what=(*_links(design, links.values()), *(_service(design, name, fault) for name in hit)),
        start_s=fault.start_s,
        lasts_s=fault.end_s - fault.start_s,
        reaches=felt,
        spared=tuple(name for name in design.services if name not in {*felt, *hit} and name not in _behind(links)),
        intents=_intents(plan, fault),
    )


def _behind(links: Mapping[str, list[str]]) -> set[str]:
    return {dependency.split("[")[0] for _, dependency in links.values()}


def _links(design: Design, pairs: Iterable[list[str]]) -> tuple[str, ...]:
    counted: dict[str, int] = {}
    for client, dependency in pairs:
        link = f"{client.split('[')[0]}.{dependency.split('[')[0]}"
        counted[link] = counted.get(link, 0) + 1
    shown = []
    for link, n in counted.items():
        client, dependency = link.split(".")
        clients = 1 if client == SHOPPERS else len(instances(design, client))
        every = clients * len(instances(design, dependency))
        shown.append(f"link {link}" if every == 1 else f"link {link} ({n} of {every} pairs of replicas)")
    return tuple(shown)


def _service(design: Design, name: str, fault: PlannedFault) -> str:
    service = design.services.get(name)
    if service is None:
        return name
    word = "database" if service.kind in STORES else "third party" if service.outside else "service"
    n = sum(target.split("[")[0] == name for target in fault.targets)
    return f"{word} {name}" if service.replicas == 1 else f"{word} {name} ({n} of {service.replicas} replicas)"


def _intents(plan: Plan, fault: PlannedFault) -> float:
    """Of each phase its share of time: exact for a steady load, near for the others."""
    total = 0.0
    for phase in plan.phases:
        both_s = min(phase.end_s, fault.end_s) - max(phase.start_s, fault.start_s)
        if both_s > 0:
            total += phase.expected_intents * both_s / phase.duration_s
    return total
