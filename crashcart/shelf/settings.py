"""What two runs were, as opposed to what they showed: so that apples are compared with apples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from crashcart.model.errors import BadFile
from crashcart.model.recording import FILES

NOT_SAID = "–"
_DERIVED = re.compile(r"\.(expected_\w+|min_events|line|file)$|^(format|overrides|crashcart_version|title|hypothesis)$")
"""What follows from something else that is compared, or changes nothing."""


class Setting(msgspec.Struct, frozen=True):
    """One thing that was not the same."""

    name: str
    before: str
    after: str


def settings_that_differ(before: Path, after: Path) -> tuple[Setting, ...]:
    """Of two recordings: commit, machine and tools, then the plan's values by path (`design.services.door.env.X`)."""
    return tuple(
        Setting(name, was, now)
        for read in (_surroundings, _plan)
        for name, was, now in _differing(read(before), read(after))
    )


def _differing(before: dict[str, str], after: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name, NOT_SAID), after.get(name, NOT_SAID)
        if was != now:
            yield name, was, now


def _surroundings(recording: Path) -> dict[str, str]:
    plan, manifest = _read(recording / FILES["plan"]), _read(recording / FILES["manifest"], needed=False)
    machine = manifest.get("machine", {})
    tools = machine.get("tools", {})
    return {
        "commit": str(manifest.get("commit") or NOT_SAID),
        "overrides": ", ".join(plan.get("overrides", ())) or "none",
        "crashcart": str(plan.get("crashcart_version", NOT_SAID)),
        **{name: str(machine.get(name, NOT_SAID)) for name in ("cores", "memory_mib", "kernel", "python")},
        **{name: str(version) for name, version in sorted(tools.items())},
    }


def _plan(recording: Path) -> dict[str, str]:
    leaves = _leaves(_read(recording / FILES["plan"]), "")
    return {path: value for path, value in leaves if not _DERIVED.search(path)}


def _leaves(thing: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(thing, list) and thing and all(isinstance(item, dict) for item in thing):
        for number, item in enumerate(thing):
            # by what it is called, so that one more in front does not make all the others differ
            yield from _leaves(item, f"{path}[{item.get('id') or item.get('name') or number}]")
    else:
        yield path, thing if isinstance(thing, str) else msgspec.json.encode(thing).decode()


def _read(path: Path, *, needed: bool = True) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError as error:
        if needed:
            raise BadFile("cannot be read: it is not there", file=path, line=None) from error
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFile(f"cannot be read: {error}", file=path, line=None) from error
