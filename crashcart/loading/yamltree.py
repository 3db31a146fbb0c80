"""YAML read into plain data that still knows its lines, so that every error can name one.

Refused on sight: duplicate keys, aliases (a few lines of them can fill any memory), keys that are not text,
files over 1 MiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from crashcart.model.errors import BadFile

Path_ = tuple[str | int, ...]
"""Where in the document: `("faults", 0, "at")`."""

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 40
_TAGS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its data, and the 1-based line of each key and value."""

    file: str
    data: dict[str, object]
    lines: dict[Path_, int]

    def line(self, path: Path_) -> int:
        """Line of that place, or of the nearest place above it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: Path_, what: str, remedy: str = "") -> BadFile:
        """An error to raise about that place."""
        return BadFile(what, file=self.file, line=self.line(path), remedy=remedy)


def dotted(path: Path_) -> str:
    """`faults[0].at`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_tree(path: Path, shown_as: str) -> Tree:
    """Read one YAML document whose top is a mapping. BadFile with a line for anything else."""
    return parse_tree(_read_text(path, shown_as), shown_as)


def parse_tree(text: str, shown_as: str) -> Tree:
    """As `read_tree`, from text."""
    try:
        node = _compose(text, shown_as)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it nests too deeply"
        remedy = (
            "look at how far this line and the one before it are indented: spaces only, what belongs together alike"
        )
        line = mark.line + 1 if mark else None
        raise BadFile(f"this is not YAML: {problem}", file=shown_as, line=line, remedy=remedy) from error
    if not isinstance(node, yaml.MappingNode):
        raise BadFile("the file should be a mapping (key: value)", file=shown_as, line=1)
    lines: dict[Path_, int] = {(): 1}
    data = _Builder(shown_as, lines).build(node, ())
    assert isinstance(data, dict)
    return Tree(shown_as, data, lines)


def _read_text(path: Path, shown_as: str) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadFile("the file is over 1 MiB; nothing of ours is", file=shown_as, line=None)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror}", file=shown_as, line=None) from error
    except UnicodeDecodeError as error:
        raise BadFile(f"is not UTF-8 text: {error.reason} at byte {error.start}", file=shown_as, line=None) from error


def _compose(text: str, shown_as: str) -> yaml.Node | None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise BadFile(
                "aliases (*name) are not used here",
                file=shown_as,
                line=_line(event),
                remedy="write it out",
            )
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > _MAX_DEPTH:
                raise BadFile("it nests too deeply", file=shown_as, line=_line(event))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node


def _line(event: yaml.Event) -> int | None:
    return event.start_mark.line + 1 if event.start_mark else None


class _Builder:
    def __init__(self, file: str, lines: dict[Path_, int]) -> None:
        self._file = file
        self._lines = lines
        self._scalars = yaml.SafeLoader("")

    def build(self, node: yaml.Node, path: Path_) -> object:
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            raise BadFile(f"the tag {node.tag} is not read here", file=self._file, line=node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self._lines[(*path, index)] = item.start_mark.line + 1
                items.append(self.build(item, (*path, index)))
            return items
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise BadFile("a key should be text", file=self._file, line=line)
            key = str(key_node.value)
            if key in found:
                raise BadFile(
                    f"the key {key!r} stands here twice", file=self._file, line=line, remedy="keep one of them"
                )
            self._lines[(*path, key)] = line
            found[key] = self.build(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node, path: Path_) -> object:
        line = node.start_mark.line + 1
        try:
            value: object = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise BadFile(f"{dotted(path)}: cannot read {node.value!r}", file=self._file, line=line) from error
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise BadFile(
                f"{dotted(path)}: {node.value!r} is read as a date", file=self._file, line=line, remedy="quote it"
            )
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**63:
            raise BadFile(f"{dotted(path)}: the number is too large", file=self._file, line=line)
        return value
