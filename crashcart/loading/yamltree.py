"""YAML read into plain data that still knows its lines, so that every error can name one.

Refused on sight: duplicate keys, aliases (a few lines of them can fill any memory) and merge keys, tags, keys that are
not text, numbers that are none or to base 60, files over 256 KiB, and characters that nobody sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from crashcart.loading.textfile import read_text, refuse_unseen
from crashcart.model.errors import BadFile

Path_ = tuple[str | int, ...]
"""Where in the document: `("faults", 0, "at")`."""

_MAX_DEPTH = 40
_MAX_DIGITS = 40
_PLAIN = "tag:yaml.org,2002:"
_TAGS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
_MAY_BE_SAID = (None, "!", f"{_PLAIN}str")
"""Tags that an author may write: that it is text. Of all else the text itself says what it is."""
_INDENTATION = "look at how far this line and the one before it are indented: spaces only, what belongs together alike"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its data, and the 1-based line of each key and value."""

    file: str
    data: dict[str, object]
    lines: dict[Path_, int]
    under: Tree | None = None
    """What it was laid over: what does not stand here stands there."""

    def line(self, path: Path_) -> int:
        """Line of that place, or of the nearest place above it that exists."""
        return self.lines.get(_nearest(self, path), 1)

    def error(self, path: Path_, what: str, remedy: str = "") -> BadFile:
        """An error to raise about that place, in the file in which it stands."""
        if self.under is not None and len(_nearest(self.under, path)) > len(_nearest(self, path)):
            return self.under.error(path, what, remedy)
        return BadFile(what, file=self.file, line=self.line(path), remedy=remedy)


def _nearest(tree: Tree, path: Path_) -> Path_:
    while path and path not in tree.lines:
        path = path[:-1]
    return path


def dotted(path: Path_) -> str:
    """`faults[0].at`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_tree(path: Path, shown_as: str) -> Tree:
    """Read one YAML document whose top is a mapping. BadFile with a line for anything else."""
    return parse_tree(read_text(path, shown_as), shown_as)


def parse_tree(text: str, shown_as: str) -> Tree:
    """As `read_tree`, from text."""
    try:
        node = _compose(text, shown_as)
    except yaml.reader.ReaderError as error:
        character = chr(error.character) if isinstance(error.character, int) else str(error.character)
        what = f"this is not YAML: the character {character!r} can't stand in it"
        line = text.count("\n", 0, max(text.find(character), 0)) + 1
        raise BadFile(what, file=shown_as, line=line, remedy="take it out, or save the file as UTF-8 text") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it nests too deeply"
        line = min(mark.line, text.count("\n", 0, len(text.rstrip()))) + 1 if mark else 1
        raise BadFile(f"this is not YAML: {problem}", file=shown_as, line=line, remedy=_INDENTATION) from error
    if not isinstance(node, yaml.MappingNode):
        raise BadFile("the file should be a mapping (key: value)", file=shown_as, line=1)
    lines: dict[Path_, int] = {(): 1}
    data = _Builder(shown_as, lines).build(node, ())
    assert isinstance(data, dict)
    return Tree(shown_as, data, lines)


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
        tag = getattr(event, "tag", None)
        if tag not in _MAY_BE_SAID:
            what = f"the tag {tag} is not read here"
            raise BadFile(what, file=shown_as, line=_line(event), remedy="leave it out; text is put in quotes")
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
        if node.tag.removeprefix(_PLAIN) not in _TAGS:
            what = f"{dotted(path)}: {node.value!r} has a meaning of its own in YAML"
            raise BadFile(what, file=self._file, line=node.start_mark.line + 1, remedy="quote it")
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
            self._check_key(key_node, key, line)
            if key in found:
                raise BadFile(
                    f"the key {key!r} stands here twice", file=self._file, line=line, remedy="keep one of them"
                )
            self._lines[(*path, key)] = line
            found[key] = self.build(value_node, (*path, key))
        return found

    def _check_key(self, node: yaml.ScalarNode, key: str, line: int) -> None:
        if node.tag == f"{_PLAIN}merge":
            raise BadFile("merge keys (<<) are not used here", file=self._file, line=line, remedy="write it out")
        if not key.isprintable():
            what = f"the key {key!r} has a character in it that nobody sees"
            raise BadFile(what, file=self._file, line=line, remedy="write it in plain characters, on one line")

    def _scalar(self, node: yaml.Node, path: Path_) -> object:
        value, line = self._value(node, path), node.start_mark.line + 1
        if isinstance(value, str):
            refuse_unseen(value, self._file, line, dotted(path))
        return value

    def _value(self, node: yaml.Node, path: Path_) -> object:
        kind, text = node.tag.removeprefix(_PLAIN), str(node.value)
        if kind == "str":
            return text
        if kind == "timestamp":
            raise self._error(node, f"{dotted(path)}: {text!r} is read as a date", "quote it")
        if kind in ("int", "float") and ":" in text:
            raise self._error(node, f"{dotted(path)}: {text!r} is read as a number to base 60", "quote it")
        if kind == "int" and len(text) > _MAX_DIGITS:
            raise self._error(node, f"{dotted(path)}: the number is too large")
        try:
            value: object = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self._error(node, f"{dotted(path)}: cannot read {text!r}") from error
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._error(node, f"{dotted(path)}: the number is too large")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(node, f"{dotted(path)}: {text} is not a finite number")
        return value

    def _error(self, node: yaml.Node, what: str, remedy: str = "") -> BadFile:
        return BadFile(what, file=self._file, line=node.start_mark.line + 1, remedy=remedy)
