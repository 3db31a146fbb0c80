"""`--set load.peak_per_s=20`: one value of a file, changed for one run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from crashcart.loading.yamltree import Tree, parse_tree
from crashcart.model.errors import UsageError


def overridden(tree: Tree, overrides: Sequence[str]) -> Tree:
    """The tree with each `path.to.key=value` laid over it; list items by number: `faults.0.for=10s`."""
    data = copy.deepcopy(tree.data)
    for override in overrides:
        _set(data, override)
    return replace(tree, data=data)


def _set(data: dict[str, object], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override} says no value", remedy="write --set path.to.key=value, such as load.seed=8")
    where = f"--set {path}"
    value = parse_tree(f"value: {text}", where).data["value"] if text else None
    place: object = data
    *above, last = path.split(".")
    for step in above:
        place = _enter(place, step, where)
    if isinstance(place, list) and _is_index(last) and int(last) < len(place):
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise UsageError(f"{last!r} leads nowhere", where=where)


def _enter(place: object, step: str, where: str) -> object:
    if isinstance(place, list) and _is_index(step) and int(step) < len(place):
        return place[int(step)]
    if isinstance(place, dict):
        return place.setdefault(step, {})
    raise UsageError(f"{step!r} leads nowhere", where=where)


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 10
