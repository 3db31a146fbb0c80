"""Where values, keys and entries stand in the text of a YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml


@dataclass(frozen=True, slots=True)
class Place:
    """A value or a key, from `start` to `end` of the text, and all that belongs to it from `whole` on."""

    start: int
    end: int
    whole: int


@dataclass(frozen=True, slots=True)
class Places:
    """Of one file."""

    values: tuple[Place, ...]
    keys: tuple[Place, ...]
    entries: tuple[Place, ...]
    """Keys with their values, and items of lists."""


@lru_cache(maxsize=16)
def places(text: str) -> Places:
    """Of YAML; nothing where there is none (SQL)."""
    found = Places((), (), ())
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return found
    return _places(node, found) if isinstance(node, yaml.CollectionNode) else found


def _places(node: yaml.Node, found: Places) -> Places:
    values, keys, entries = list(found.values), list(found.keys), list(found.entries)
    walked: set[yaml.Node] = set()

    def walk(node: yaml.Node) -> None:
        if node in walked:  # by an alias: a few lines of them would take for ever
            return
        walked.add(node)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                start = key.start_mark.index
                keys.append(Place(start, key.end_mark.index, start))
                entries.append(Place(start, value.end_mark.index, start))
                visit(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                entries.append(Place(item.start_mark.index, item.end_mark.index, item.start_mark.index))
                visit(item)

    def visit(value: yaml.Node) -> None:
        values.append(Place(value.start_mark.index, value.end_mark.index, value.start_mark.index))
        walk(value)

    walk(node)
    return Places(tuple(values), tuple(keys), tuple(entries))
