"""`stack/faults/*.yaml` → fault kinds of a project's own: a generic kind with settings, under the project's words.

In `use`, `{name}` stands for a parameter. Alone in a text it is the value itself (a number, a list, nothing); within a
text it is written out. `{delay.ms}` and `{delay.s}` are a duration's milliseconds and seconds, `{share.percent}` is
`5 %`, `{networks.regex}` is `visa|amex` (`.*` for none named), `{networks.words}` is `visa and amex` (`all`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head, check_no_secrets
from crashcart.loading.yamltree import Path_, Tree, read_tree
from crashcart.model.design import Metadata
from crashcart.model.hints import did_you_mean
from crashcart.model.units import DURATION_REMEDY, parse_duration

ParameterType = Literal["text", "service", "link", "number", "whole", "flag", "duration", "list"]

_NAME = re.compile(r"[a-z][a-z0-9-]*/[a-z][a-z0-9-]*")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]*")
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)(?:\.([a-z]+))?\}")
_ITEM = re.compile(r"[\w.:-]+")
_RESERVED = ("at", "for")
_WORDS = {
    "text": "text",
    "service": "a service's name",
    "link": "a link, client.dependency",
    "number": "a number",
    "whole": "a whole number",
    "flag": "true or false",
    "duration": "a duration such as 500ms, 20s or 2m",
    "list": "a list of words",
}
_WRITTEN: Mapping[tuple[str, str], Callable[[Any], object]] = {
    ("duration", "ms"): lambda value: _short(parse_duration(value) * 1000),
    ("duration", "s"): lambda value: _short(parse_duration(value)),
    ("number", "percent"): lambda value: f"{value * 100:g} %",
    ("list", "regex"): lambda value: "|".join(map(re.escape, value)) if value else ".*",
    ("list", "words"): lambda value: _listed(value) if value else "all",
}


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the author of an experiment may, or must, say."""

    type: ParameterType
    description: str = ""
    default: Any = msgspec.UNSET
    """None at all: it must be given. `null` is a default that a list alone may have: all."""
    at_least: str | int | float | None = None
    at_most: str | int | float | None = None
    """Of a number, or of a duration."""
    one_of: tuple[str, ...] = ()
    """Of a text, or of each word of a list."""

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is msgspec.UNSET


class _Document(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"api_version": "apiVersion"}, kw_only=True
):
    api_version: str
    kind: str
    metadata: Metadata
    summary: str = ""
    parameters: dict[str, Parameter] = {}
    use: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class NamedKind:
    """One fault kind of a project."""

    name: str
    title: str
    """With `{parameter}` in it; what it says of one fault is `title_of`."""
    summary: str
    parameters: Mapping[str, Parameter]
    uses: str
    """The generic kind: `http/admin`."""
    template: Mapping[str, Any]
    tree: Tree

    @property
    def settings_path(self) -> Path_:
        """Where the generic kind's settings stand in the file."""
        return ("use", self.uses)

    def values(self, tree: Tree, path: Path_, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """An experiment's settings with the defaults, checked. BadFile at the experiment's line."""
        for name in settings:
            if name not in self.parameters:
                remedy = did_you_mean(name, self.parameters, "parameters")
                raise tree.error((*path, name), f"{self.name} has no parameter {name!r}", remedy)
        found: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name not in settings and parameter.required:
                raise tree.error(path, f"{self.name}: {name} is missing", f"{name} is {_WORDS[parameter.type]}")
            value = settings.get(name, parameter.default)
            problem = _wrong(parameter, value)
            if problem:
                raise tree.error((*path, name), f"{self.name}: {name}: {value!r} can't be", problem)
            found[name] = value
        return found

    def settings_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The generic kind's settings with these values put in."""
        filled: dict[str, Any] = self._fill(dict(self.template), values)
        return filled

    def title_of(self, values: Mapping[str, Any]) -> str:
        """One line for people."""
        return _PLACE.sub(lambda place: self._written(place, values), self.title)

    def _fill(self, part: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(part, dict):
            return {key: self._fill(value, values) for key, value in part.items()}
        if isinstance(part, list):
            return [self._fill(item, values) for item in part]
        if not isinstance(part, str):
            return part
        alone = _PLACE.fullmatch(part)
        if alone:
            return self._value(alone[1], alone[2], values)
        return _PLACE.sub(lambda place: self._written(place, values), part)

    def _written(self, place: re.Match[str], values: Mapping[str, Any]) -> str:
        value = self._value(place[1], place[2], values)
        if isinstance(value, list):
            return _listed(value)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def _value(self, name: str, form: str | None, values: Mapping[str, Any]) -> Any:
        value = values[name]
        return value if form is None else _WRITTEN[self.parameters[name].type, form](value)


def read_fault_kind(path: Path, shown_as: str) -> NamedKind:
    """One named kind. BadFile for parameters that are not used, used that are not there, or defaults that can't be."""
    tree = read_tree(path, shown_as)
    check_head(tree, "FaultKind")
    check_no_secrets(tree)
    document = decode(tree, _Document)
    name = document.metadata.name
    if not _NAME.fullmatch(name):
        raise tree.error(("metadata", "name"), f"{name!r} can't be a fault's name", "write family/verb: provider/slow")
    if len(document.use) != 1:
        count = len(document.use)
        raise tree.error(("use",), f"use names {count} kinds", "write use: with one generic kind and its settings")
    uses, template = next(iter(document.use.items()))
    made = NamedKind(
        name=name,
        title=document.metadata.title or name,
        summary=document.summary or document.metadata.title or name,
        parameters=document.parameters,
        uses=uses,
        template=template,
        tree=tree,
    )
    _check_parameters(made)
    _check_places(made)
    return made


def _check_parameters(kind: NamedKind) -> None:
    for name, parameter in kind.parameters.items():
        path: Path_ = ("parameters", name)
        if not _PARAMETER.fullmatch(name) or name in _RESERVED:
            remedy = f"lower-case letters, digits and _ (and not {' or '.join(_RESERVED)})"
            raise kind.tree.error(path, f"{name!r} can't be a parameter's name", remedy)
        ordered = parameter.type in ("number", "whole", "duration")
        for limit in ("at_least", "at_most"):
            if getattr(parameter, limit) is not None and not ordered:
                raise kind.tree.error((*path, limit), f"{name} is {_WORDS[parameter.type]}: it has no {limit}")
            problem = _not_of(parameter.type, getattr(parameter, limit)) if ordered else ""
            if getattr(parameter, limit) is not None and problem:
                raise kind.tree.error((*path, limit), f"{limit}: {getattr(parameter, limit)!r} can't be", problem)
        if parameter.one_of and parameter.type not in ("text", "list"):
            raise kind.tree.error((*path, "one_of"), f"{name} is {_WORDS[parameter.type]}: it has no one_of")
        if not parameter.required and (problem := _wrong(parameter, parameter.default)):
            raise kind.tree.error((*path, "default"), f"default: {parameter.default!r} can't be", problem)


def _check_places(kind: NamedKind) -> None:
    used = set()
    for path, text in (*_texts(kind.template, kind.settings_path), (("metadata", "title"), kind.title)):
        for place in _PLACE.finditer(text):
            parameter = kind.parameters.get(place[1])
            if parameter is None:
                remedy = did_you_mean(place[1], kind.parameters, "parameters")
                raise kind.tree.error(path, f"{place[0]}: there is no such parameter", remedy)
            if place[2] and (parameter.type, place[2]) not in _WRITTEN:
                forms = [form for of, form in _WRITTEN if of == parameter.type]
                remedy = did_you_mean(place[2], forms, f"forms of {_WORDS[parameter.type]}")
                raise kind.tree.error(path, f"{place[0]}: there is no such form", remedy)
            used.add((place[1], path[0]))
    for name in kind.parameters:
        if (name, "use") not in used:
            raise kind.tree.error(("parameters", name), f"the parameter {name} is not used", "use it, or take it out")


def _texts(part: object, path: Path_) -> list[tuple[Path_, str]]:
    if isinstance(part, Mapping):
        return [found for key, value in part.items() for found in _texts(value, (*path, str(key)))]
    if isinstance(part, list):
        return [found for index, value in enumerate(part) for found in _texts(value, (*path, index))]
    return [(path, part)] if isinstance(part, str) else []


def _wrong(parameter: Parameter, value: object) -> str:
    """What would be right; empty where it is."""
    problem = _not_of(parameter.type, value)
    if problem:
        return problem
    words = value if isinstance(value, list) else [value]
    if parameter.one_of and value is not None and not all(word in parameter.one_of for word in words):
        return f"one of {', '.join(parameter.one_of)}"
    if parameter.at_least is not None and _size(value) < _size(parameter.at_least):
        return f"at least {parameter.at_least}"
    if parameter.at_most is not None and _size(value) > _size(parameter.at_most):
        return f"at most {parameter.at_most}"
    return ""


def _not_of(kind: ParameterType, value: object) -> str:
    if kind == "duration":
        return "" if _is_duration(value) else DURATION_REMEDY
    return "" if _FITS[kind](value) else _WORDS[kind]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_list(value: object) -> bool:
    words = isinstance(value, list) and all(isinstance(item, str) and _ITEM.fullmatch(item) for item in value)
    return value is None or (words and bool(value))


def _is_duration(value: object) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True


_FITS: Mapping[str, Callable[[object], bool]] = {
    "text": _is_text,
    "service": _is_text,
    "link": _is_text,
    "number": _is_number,
    "whole": lambda value: _is_number(value) and isinstance(value, int),
    "flag": lambda value: isinstance(value, bool),
    "list": _is_list,
}


def _size(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float(parse_duration(value))


def _short(number: float) -> int | float:
    number = round(number, 6)
    return int(number) if number.is_integer() else number


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
