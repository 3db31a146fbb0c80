"""What was found last time, so that the next call need not ask four programs for their versions."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

from crashcart.tools import postgres, prometheus, toxiproxy, valkey
from crashcart.tools.account import entrance_closed_to, server_account
from crashcart.tools.cache import cache_dir, move_in, workshop
from crashcart.tools.toolbox import Tool, Toolbox

_FORMAT = 1
_VARIABLES = (postgres.VARIABLE, valkey.VARIABLE, toxiproxy.VARIABLE, prometheus.VARIABLE)


def read_stamp() -> Toolbox | None:
    """The toolbox of the stamp, if nothing has changed that it depends on; None otherwise."""
    try:
        stamp = json.loads(_file().read_bytes())
        if stamp["key"] != _key():
            return None
        tools = {name: _tool(record) for name, record in stamp["tools"].items()}
        if any(_fingerprint(tool) != stamp["fingerprints"][name] for name, tool in tools.items()):
            return None
        toolbox = Toolbox(**tools)
        # a home that was closed since hides the server from the account that root runs it as
        return toolbox if entrance_closed_to(server_account(), toolbox.postgres.path) is None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no stamp, an older one, or one that somebody edited: look again


def write_stamp(toolbox: Toolbox) -> None:
    """Remember the toolbox. Where the cache can't be written nothing is remembered: that costs time alone."""
    tools = {field.name: getattr(toolbox, field.name) for field in fields(toolbox)}
    stamp = {
        "key": _key(),
        "tools": {name: {**asdict(tool), "path": str(tool.path)} for name, tool in tools.items()},
        "fingerprints": {name: _fingerprint(tool) for name, tool in tools.items()},
    }
    try:
        with workshop(cache_dir()) as scratch:
            file = scratch / "stamp"
            file.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
            move_in(file, _file())
    except OSError:
        return


def _file() -> Path:
    return cache_dir() / "tools.json"


def _key() -> str:
    """Changes with all that decides which programs are found, but for the programs themselves."""
    named = [os.environ.get(variable) for variable in _VARIABLES]
    facts = (_FORMAT, sys.prefix, os.geteuid(), os.environ.get("PATH", ""), named, _recipes())
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _recipes() -> list[tuple[str, int, int]]:
    """This package's own files: an upgrade may ask for newer programs."""
    folder = Path(__file__).parent
    files = sorted([*folder.glob("*.py"), *folder.glob("go/*/go.*")])
    return [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]


def _tool(record: Mapping[str, str]) -> Tool:
    return Tool(record["name"], record["version"], Path(record["path"]), record["origin"])


def _fingerprint(tool: Tool) -> list[int]:
    program = tool.path / "postgres" if tool.path.is_dir() else tool.path
    details = program.stat()
    return [details.st_mtime_ns, details.st_size, details.st_ino]
