"""Toxics, and which of their settings Toxiproxy takes: some crash its server, others silently do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean

_LONGEST_MS = 24 * 3600 * 1000
_MOST = 2**53
_RATE_HINT = "to stop the traffic use a timeout toxic, or disable the proxy"

_ATTRIBUTES: Mapping[str, Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "latency": {"latency": (0, _LONGEST_MS), "jitter": (0, _LONGEST_MS)},
        "bandwidth": {"rate": (1, _MOST // 1024)},
        "slow_close": {"delay": (0, _LONGEST_MS)},
        "timeout": {"timeout": (0, _LONGEST_MS)},
        "reset_peer": {"timeout": (0, _LONGEST_MS)},
        "slicer": {"average_size": (1, _MOST), "size_variation": (0, _MOST), "delay": (0, _MOST)},
        "limit_data": {"bytes": (0, _MOST)},
        "noop": {},
    }
)
"""Type → attribute → smallest, largest; in milliseconds, bytes, KB/s (`rate`), microseconds (slicer's `delay`)."""

_NEEDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "latency": frozenset({"latency"}),
        "bandwidth": frozenset({"rate"}),
        "slicer": frozenset({"average_size"}),
        "limit_data": frozenset({"bytes"}),
    }
)


class ToxicSpec(msgspec.Struct, frozen=True):
    """One toxic. Toxicity is drawn per connection, not per request."""

    name: str
    type: str
    stream: Literal["upstream", "downstream"] = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = {}


def validate_toxic(spec: ToxicSpec) -> None:
    """Refuse what would crash the server, hang a link or silently do nothing. UsageError says what is right."""
    known = _ATTRIBUTES.get(spec.type)
    if known is None:
        raise UsageError(f"{spec.type!r} is not a toxic", remedy=did_you_mean(spec.type, _ATTRIBUTES, "toxics"))
    if not spec.name:
        raise UsageError(f"a {spec.type} toxic without a name", remedy="give it a name to find it again by")
    if spec.stream not in ("upstream", "downstream"):
        raise UsageError(f"{spec.stream!r} is not a stream", remedy="write upstream or downstream")
    if not _is_number(spec.toxicity) or not 0 <= spec.toxicity <= 1:
        raise UsageError(f"toxicity {spec.toxicity!r} is not a share", remedy="write a number from 0 to 1")
    for attribute, value in spec.attributes.items():
        _validate_attribute(spec.type, attribute, value, known)
    missing = sorted(_NEEDED.get(spec.type, frozenset()) - spec.attributes.keys())
    if missing:
        raise UsageError(f"a {spec.type} toxic needs {', '.join(missing)}")
    if spec.attributes.get("size_variation", 0) > spec.attributes.get("average_size", 0):
        raise UsageError("a slicer's size_variation is larger than its average_size")


def _validate_attribute(toxic: str, attribute: str, value: object, known: Mapping[str, tuple[int, int]]) -> None:
    if attribute not in known:
        raise UsageError(f"a {toxic} toxic has no {attribute!r}", remedy=did_you_mean(attribute, known, "attributes"))
    low, high = known[attribute]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        hint = f"; {_RATE_HINT}" if attribute == "rate" else ""
        raise UsageError(
            f"{attribute} of a {toxic} toxic is {value!r}", remedy=f"write a whole number from {low} to {high}{hint}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
