"""From a tree to the model's types, with errors that name the place, the line and what would be right."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from crashcart.loading.yamltree import Path_, Tree, dotted
from crashcart.model.hints import did_you_mean
from crashcart.model.units import Duration, parse_duration

T = TypeVar("T", bound=msgspec.Struct)

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Duration: "a duration such as 500ms, 20s or 2m",
}


def decode_hook(wanted: type, value: object) -> object:
    """The hook with which msgspec decodes our own scalar types."""
    if wanted is Duration:
        return parse_duration(value)
    raise NotImplementedError(wanted)


def decode(tree: Tree, wanted: type[T], path: Path_ = (), data: object = None) -> T:
    """`data` (default: all of the tree) as `wanted`; BadFile at the first place that does not fit."""
    value = tree.data if data is None else data
    _check(tree, value, wanted, path)
    return msgspec.convert(value, wanted, dec_hook=decode_hook)


def _check(tree: Tree, value: object, wanted: Any, path: Path_) -> None:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        _check_struct(tree, value, wanted, path)
    elif origin is tuple:
        if not isinstance(value, list):
            remedy = f"write [{', '.join(value.split())}]" if isinstance(value, str) else "write [one, another]"
            raise tree.error(path, f"{dotted(path)} should be a list", remedy)
        for index, item in enumerate(value):
            _check(tree, item, arguments[0], (*path, index))
    elif origin is dict:
        if not isinstance(value, dict):
            raise tree.error(path, f"{dotted(path)} should be a mapping (key: value)")
        for key, item in value.items():
            _check(tree, item, arguments[1], (*path, key))
    elif origin in (types.UnionType, typing.Union):
        _check_union(tree, value, arguments, path)
    else:
        _check_leaf(tree, value, wanted, path)


def _check_struct(tree: Tree, value: object, wanted: type[msgspec.Struct], path: Path_) -> None:
    if not isinstance(value, dict):
        raise tree.error(path, f"{dotted(path) or 'the file'} should be a mapping (key: value)")
    fields, hints = _shape(wanted)
    if wanted.__struct_config__.forbid_unknown_fields:
        for key in value:
            if key not in fields:
                raise tree.error((*path, key), f"unknown key {dotted((*path, key))}", did_you_mean(key, fields, "keys"))
    for name, field in fields.items():
        if name in value:
            _check(tree, value[name], hints[field.name], (*path, name))
        elif field.required:
            raise tree.error(path, f"{dotted((*path, name))} is missing")


@lru_cache
def _shape(wanted: type[msgspec.Struct]) -> tuple[Mapping[str, msgspec.structs.FieldInfo], Mapping[str, Any]]:
    """Its fields by their names in files, and their types by their names in Python: asked often, and slow to tell."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    return fields, typing.get_type_hints(wanted)


def _check_union(tree: Tree, value: object, arguments: tuple[Any, ...], path: Path_) -> None:
    if value is None and type(None) in arguments:
        return
    for choice in arguments:
        if isinstance(choice, type) and issubclass(choice, msgspec.Struct):
            _check_struct(tree, value, choice, path)
            return
        if typing.get_origin(choice) is tuple and isinstance(value, list):
            _check(tree, value, choice, path)
            return
    for choice in arguments:
        try:
            msgspec.convert(value, choice, dec_hook=decode_hook)
        except (msgspec.ValidationError, ValueError):
            continue
        return
    raise tree.error(path, f"{dotted(path)}: {value!r} is not {' or '.join(_word(choice) for choice in arguments)}")


def _check_leaf(tree: Tree, value: object, wanted: Any, path: Path_) -> None:
    if wanted is object or wanted is Any:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise tree.error(path, f"{dotted(path)}: {value} is not a finite number")
    try:
        msgspec.convert(value, wanted, dec_hook=decode_hook)
    except (msgspec.ValidationError, ValueError) as error:
        shown = "nothing" if value is None else repr(value)
        raise tree.error(path, f"{dotted(path)}: expected {_word(wanted)}, got {shown}") from error


def _word(wanted: Any) -> str:
    if typing.get_origin(wanted) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(wanted)))
    if wanted is type(None):
        return "nothing"
    return _WORDS.get(wanted, str(getattr(wanted, "__name__", wanted)))
