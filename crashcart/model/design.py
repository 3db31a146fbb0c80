"""A design: one topology of the shop. `stack/designs/*.yaml` is the only source of every runtime's manifests."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean

SHOPPERS = "shoppers"
"""The name of the load as a client: `shoppers.storefront` is the shop's front door."""


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name, one-line title and tags of any document."""

    name: str
    title: str = ""
    tags: tuple[str, ...] = ()


class Init(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a database's template is made, once: SQL files, then commands; each gets the address as its last argument."""

    sql: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One service: a command of the project, or a server of a kind the harness can run."""

    kind: str = "process"
    """`process`, `postgres` or `valkey`."""
    command: tuple[str, ...] = ()
    """`{python}` stands for the harness's own interpreter."""
    links: tuple[str, ...] = ()
    env: dict[str, str] = {}
    settings: dict[str, str | int | float | bool] = {}
    """Server settings of a kind (postgresql.conf, valkey.conf)."""
    init: Init = Init()
    replicas: int = 1
    entry: bool = False
    """The one service that shoppers call."""
    outside: bool = False
    """A third party: not ours to fix."""
    zone: str = ""
    """Where it stands (a rack, a site): what has the same zone can be cut off together."""
    disk_mib: int = 0
    """Its data are on a disk of their own, of so many MiB, which `disk/full` can fill; 0: with everything else."""


class Design(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"api_version": "apiVersion"}):
    """A whole topology."""

    api_version: str
    kind: str
    metadata: Metadata
    services: dict[str, Service]

    @property
    def entry(self) -> str:
        """Name of the service that shoppers call (loading has made sure that there is exactly one)."""
        return next(name for name, service in self.services.items() if service.entry)


class Proxy(msgspec.Struct, frozen=True):
    """One Toxiproxy proxy: one replica of a client to one replica of a dependency."""

    name: str
    """`checkout[0].inventory[0]`, also its name in Toxiproxy."""
    link: str
    """`checkout.inventory`."""
    client: str
    """`checkout[0]`."""
    dependency: str
    """`inventory[0]`."""


def instances(design: Design, service: str) -> tuple[str, ...]:
    """`checkout` → (`checkout[0]`, …)."""
    return tuple(f"{service}[{index}]" for index in range(design.services[service].replicas))


def links(design: Design) -> tuple[str, ...]:
    """Every edge `client.dependency`, the shoppers' own first."""
    inner = [f"{name}.{dependency}" for name, service in design.services.items() for dependency in service.links]
    return (f"{SHOPPERS}.{design.entry}", *inner)


def proxies(design: Design) -> tuple[Proxy, ...]:
    """Every pair of replicas along every link."""
    return tuple(_pairs(design))


def _pairs(design: Design) -> Iterator[Proxy]:
    for link in links(design):
        client, dependency = link.split(".")
        clients = (f"{SHOPPERS}[0]",) if client == SHOPPERS else instances(design, client)
        for one in clients:
            for other in instances(design, dependency):
                yield Proxy(f"{one}.{other}", link, one, other)


_SELECTOR = re.compile(r"([a-z][a-z0-9-]*)(?:\[(\d+|\*)\])?\.([a-z][a-z0-9-]*)(?:\[(\d+|\*)\])?")
_INSTANCE = re.compile(r"([a-z][a-z0-9-]*)(?:\[(\d+|\*)\])?")


def select_proxies(design: Design, selector: str) -> tuple[Proxy, ...]:
    """`checkout.inventory` → all its proxies; `checkout[1].inventory[*]` → some. UsageError names what exists."""
    match = _SELECTOR.fullmatch(selector)
    known = links(design)
    if match is None:
        raise UsageError(f"{selector!r} is not a link", remedy=f"write client.dependency, one of: {', '.join(known)}")
    client, client_index, dependency, dependency_index = match.groups()
    if f"{client}.{dependency}" not in known:
        raise UsageError(
            f"the design {design.metadata.name!r} has no link {client}.{dependency}",
            remedy=did_you_mean(f"{client}.{dependency}", known, "links"),
        )
    chosen = tuple(
        proxy
        for proxy in proxies(design)
        if proxy.link == f"{client}.{dependency}"
        and _index_matches(proxy.client, client_index)
        and _index_matches(proxy.dependency, dependency_index)
    )
    if not chosen:
        raise UsageError(f"{selector} names a replica that the design does not have")
    return chosen


def select_instances(design: Design, selector: str) -> tuple[str, ...]:
    """`checkout` or `checkout[*]` → all its instances; `checkout[1]` → one. UsageError names what exists."""
    match = _INSTANCE.fullmatch(selector)
    if match is None or match[1] not in design.services:
        raise UsageError(
            f"the design {design.metadata.name!r} has no service {selector}",
            remedy=did_you_mean(match[1] if match else selector, tuple(design.services), "services"),
        )
    chosen = tuple(name for name in instances(design, match[1]) if _index_matches(name, match[2]))
    if not chosen:
        raise UsageError(f"{selector} names a replica that the design does not have")
    return chosen


def _index_matches(instance: str, index: str | None) -> bool:
    return index in (None, "*") or instance.endswith(f"[{index}]")
