"""`stack/designs/*.yaml` → Design, and `loadtests/load.yaml` → LoadProgram."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.yamltree import Path_, Tree, read_tree
from crashcart.model.design import SHOPPERS, Design, Service
from crashcart.model.errors import BadFile
from crashcart.model.hints import did_you_mean
from crashcart.model.load import LoadProgram, in_scenario

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_KINDS = ("process", "postgres", "valkey")
_MAX_REPLICAS = 32
_COHORT = re.compile(r"\w[\w.-]{0,60}")
_LEAST_SHARE = 0.0001
_EVENTS_AT_MOST = 1_000
_PATIENCE_AT_MOST_S = 3600
_DISK_MIB = (16, 4096)


def read_design(path: Path, shown_as: str) -> Design:
    """One topology. BadFile for links to nowhere, no or several entries, names that can't be in an address."""
    tree = _whole(path, shown_as)
    design = decode(tree, Design)
    if design.metadata.name != path.stem:
        what = f"metadata.name is {design.metadata.name!r}, and the file's name is {path.stem!r}"
        line = tree.line(("metadata", "name"))  # of this file, also where the other one gave it its name
        raise BadFile(what, file=shown_as, line=line, remedy=f"write name: {path.stem}, or rename the file")
    for name, service in design.services.items():
        _check_service(tree, design, name, service)
    entries = [name for name, service in design.services.items() if service.entry]
    if len(entries) != 1:
        found = ", ".join(entries) or "none"
        raise tree.error(
            ("services",), f"exactly one service is the shoppers' entry; found {found}", "set entry: true on it"
        )
    return design


def _whole(path: Path, shown_as: str) -> Tree:
    """The file, laid over the design that it `extends`, if it does: key by key, lists as a whole."""
    tree = read_tree(path, shown_as)
    check_head(tree, "Design")
    if "extends" not in tree.data:
        return tree
    base = tree.data["extends"]
    known = {other.stem: other for other in path.parent.glob("*.yaml") if other != path}
    if not isinstance(base, str) or base not in known:
        raise tree.error(("extends",), f"there is no design {base!r}", did_you_mean(str(base), known, "designs"))
    under = read_tree(known[base], str(Path(shown_as).with_name(known[base].name)))
    check_head(under, "Design")
    if "extends" in under.data:
        raise tree.error(("extends",), f"{base} extends another design itself", "extend that one, or write it out")
    own = {key: value for key, value in tree.data.items() if key != "extends"}
    laid_over = _laid_over(under.data, own)
    assert isinstance(laid_over, dict)
    return replace(tree, data=laid_over, under=under)


def _laid_over(under: object, over: object) -> object:
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return {**under, **{key: _laid_over(under.get(key), value) for key, value in over.items()}}


def _check_service(tree: Tree, design: Design, name: str, service: Service) -> None:
    path = ("services", name)
    if not _NAME.fullmatch(name) or name == SHOPPERS:
        raise tree.error(
            path, f"{name!r} can't be a service's name", "lower-case letters, digits and - (and not shoppers)"
        )
    if service.kind not in _KINDS:
        raise tree.error((*path, "kind"), f"unknown kind {service.kind!r}", did_you_mean(service.kind, _KINDS, "kinds"))
    if service.kind == "process" and not service.command:
        raise tree.error(path, f"services.{name}.command is missing", 'write command: ["{python}", -m, your.module]')
    if service.kind != "process" and (service.command or service.links):
        raise tree.error(path, f"a {service.kind} server has no command and no links of its own")
    if not 1 <= service.replicas <= _MAX_REPLICAS:
        raise tree.error((*path, "replicas"), f"replicas: {service.replicas} is not between 1 and {_MAX_REPLICAS}")
    least, most = _DISK_MIB
    if service.disk_mib and not least <= service.disk_mib <= most:
        what = f"disk_mib: {service.disk_mib} is not between {least} and {most}"
        raise tree.error((*path, "disk_mib"), what, "it is memory of this machine: 256 is plenty for a database")
    for index, dependency in enumerate(service.links):
        if dependency not in design.services or dependency == name:
            remedy = did_you_mean(dependency, design.services, "services")
            raise tree.error(
                (*path, "links", index), f"services.{name} links to {dependency!r}, which is no other service", remedy
            )
        if dependency in service.links[:index]:
            what = f"services.{name} links to {dependency} twice"
            raise tree.error((*path, "links", index), what, "once is enough: replicas have proxies of their own")


def read_load_program(path: Path, shown_as: str) -> LoadProgram:
    """How the load is started, and its declared cohorts."""
    tree = read_tree(path, shown_as)
    check_head(tree, "Load")
    program = decode(tree, LoadProgram)
    if not program.command:
        raise tree.error(("command",), "command is empty")
    _check_numbers(tree, (), program.patience_s, program.events_per_session)
    _check_shares(tree, (), program.purchase_share, program.cohorts)
    for name, scenario in program.scenarios.items():
        here: Path_ = ("scenarios", name)
        for dimension, shares in scenario.cohorts.items():
            if shares.keys() != program.cohorts.get(dimension, {}).keys():
                what = f"the scenario {name} has other values of {dimension} than cohorts declares"
                raise tree.error((*here, "cohorts", dimension), what, "the same values, with other shares")
        in_it = in_scenario(program, name)
        _check_numbers(tree, here, in_it.patience_s, scenario.events_per_session)
        _check_shares(tree, here, in_it.purchase_share, scenario.cohorts)
    return program


def _check_numbers(tree: Tree, path: Path_, patience_s: float, events: Mapping[str, float]) -> None:
    if not 0 <= patience_s <= _PATIENCE_AT_MOST_S:
        what = f"patience_s: {patience_s:g} is not between 0 and {_PATIENCE_AT_MOST_S}"
        raise tree.error((*path, "patience_s"), what, "seconds that the slowest shopper may still be busy, such as 15")
    for kind, number in events.items():
        if not 0 <= number <= _EVENTS_AT_MOST:
            what = f"events_per_session.{kind}: {number:g} is not between 0 and {_EVENTS_AT_MOST}"
            raise tree.error(
                (*path, "events_per_session", kind), what, "what an average session makes of it, such as 2"
            )


def _check_shares(tree: Tree, path: Path_, purchase_share: float, cohorts: Mapping[str, Mapping[str, float]]) -> None:
    if not _LEAST_SHARE <= purchase_share <= 1:
        what = f"purchase_share: {purchase_share:g} is not in [{_LEAST_SHARE:g}, 1]"
        raise tree.error((*path, "purchase_share"), what, "of all sessions, those that set out to buy, such as 0.3")
    for dimension, shares in cohorts.items():
        here: Path_ = (*path, "cohorts", dimension)
        for name in (dimension, *shares):
            if not _COHORT.fullmatch(name):
                remedy = "letters, digits, _ and -, such as network: {visa: 0.7, amex: 0.3}"
                raise tree.error((*here, name) if name in shares else here, f"{name!r} can't name a cohort", remedy)
        total = sum(shares.values())
        if abs(total - 1) > 1e-6 or min(shares.values(), default=0) <= 0:
            what = f"the shares of {dimension} sum to {total:g}"
            raise tree.error(here, what, "positive shares that sum to 1")
