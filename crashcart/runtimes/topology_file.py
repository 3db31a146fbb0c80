"""`topology.json` in a stack's throw-away folder: what was started, for whoever comes after."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from crashcart.model.topology import Topology

TOPOLOGY_FILE = "topology.json"


def save_topology(topology: Topology) -> Path:
    """Write it, whole or not at all, into the stack's folder; returns where."""
    path = Path(topology.state_dir) / TOPOLOGY_FILE
    write_private(path, msgspec.json.format(msgspec.json.encode(topology), indent=1))
    return path


def load_topology(state_dir: Path | str) -> Topology:
    """What `save_topology` wrote. FileNotFoundError where there is none, msgspec.DecodeError where it is damaged."""
    return msgspec.json.decode((Path(state_dir) / TOPOLOGY_FILE).read_bytes(), type=Topology)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one that only we can read."""
    scratch = path.with_name(f".{path.name}.new")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    scratch.replace(path)
