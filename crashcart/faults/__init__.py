"""Fault kinds, one file each: a module here that has a `FAULT` is one. `noop.py` is the template to copy."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from crashcart.model.errors import UsageError
from crashcart.model.units import Duration, parse_duration
from crashcart.ports import FaultKind


@lru_cache(maxsize=1)
def registry() -> Mapping[str, FaultKind]:
    """Kind → fault kind, sorted by kind. AssertionError where two files claim the same kind."""
    found: dict[str, FaultKind] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        fault: FaultKind | None = getattr(importlib.import_module(module.name), "FAULT", None)
        if fault is not None:
            assert fault.kind not in found, f"two files claim to be {fault.kind}"
            found[fault.kind] = fault
    return dict(sorted(found.items()))


def decode_settings(fault: FaultKind, settings: Mapping[str, Any]) -> msgspec.Struct:
    """Settings as they stand in a file or plan → the kind's own type.

    Raises:
        UsageError: a key is unknown or missing, or a value does not fit.
    """
    try:
        decoded: msgspec.Struct = msgspec.convert(settings, fault.settings_type, dec_hook=_decode_duration)
    except msgspec.ValidationError as problem:
        keys = ", ".join(field.encode_name for field in msgspec.structs.fields(fault.settings_type))
        raise UsageError(f"{fault.kind}: {problem}", remedy=f"its settings are: {keys}") from problem
    return decoded


def _decode_duration(wanted: type, value: object) -> object:
    if wanted is Duration:
        return value if isinstance(value, Duration) else parse_duration(value)
    raise NotImplementedError(wanted)
