"""Stacks that stand after the command that started them has ended: `crashcart stack up|down|status|logs`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.topology import Instance, Topology
from crashcart.ports import Runtime
from crashcart.runtimes.ending import instance_pids, stack_pids, stop_topology
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.spec import read_spec
from crashcart.runtimes.starting import last_lines
from crashcart.runtimes.topology_file import write_private
from crashcart.statehome import state_home

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Row:
    """One instance, for people."""

    instance: str
    kind: str
    address: str
    pid: int | None
    """None where it does not run."""
    ready: str
    """Empty when it is; else what it says, or why it could not be asked."""


def stacks_dir() -> Path:
    """Where standing stacks are registered: `$XDG_STATE_HOME/crashcart/stacks`, by default below `~/.local/state`."""
    return state_home() / "stacks"


def up(
    design: Design, project_dir: Path, progress: Callable[[str], None], *, runtime: Runtime | None = None
) -> Topology:
    """Boot the design and leave it running. Its logs are beside its entry in `stacks_dir()`.

    Raises:
        UsageError: it stands already. Else as `LocalRuntime.start`.
    """
    name = design.metadata.name
    standing = find(name)
    if standing is not None:
        raise UsageError(
            f"the design {name!r} stands already", remedy="crashcart stack down, or crashcart stack status"
        )
    folder = stacks_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stack = (runtime or LocalRuntime()).start(
        design,
        run_id=f"stack-{name}-{uuid.uuid4().hex[:8]}",
        project_dir=project_dir,
        log_dir=_fresh_logs(name),
        extra_scrapes={},
        progress=progress,
    )
    write_private(_entry(name), msgspec.json.format(msgspec.json.encode(stack.topology), indent=1))
    stack.let_go()
    return stack.topology


def down(topology: Topology) -> None:
    """End it, remove its data and its entry; its logs stay until it is started again. Idempotent."""
    stop_topology(topology)
    for entry in stacks_dir().glob("*.json"):
        registered = _read(entry)
        if registered is not None and registered.run_id == topology.run_id:
            entry.unlink(missing_ok=True)


def find(name: str) -> Topology | None:
    """The standing stack of that design; None where there is none. What is left of one that died is removed."""
    entry = _entry(name)
    topology = _read(entry)
    if topology is None:
        return None
    if not stack_pids(topology.run_id, Path(topology.state_dir)):
        down(topology)
        return None
    return topology


def standing() -> dict[str, Topology]:
    """Every standing stack, by its design's name."""
    names = sorted(entry.stem for entry in stacks_dir().glob("*.json"))
    return {name: topology for name in names if (topology := find(name)) is not None}


def status(topology: Topology) -> tuple[Row, ...]:
    """How each instance is, asked now."""
    return tuple(_row(topology, instance) for instance in topology.instances)


def logs(topology: Topology, instance: str, *, follow: bool = False, lines: int = 50) -> Iterator[str]:
    """The last lines of an instance's log; with `follow`, all that come after them, for as long as the stack stands.

    Raises:
        UsageError: there is no such instance.
    """
    found = _instance(topology, instance)
    log, container = Path(found.log), _container(found)
    if container and follow:
        from crashcart.runtimes.container_logs import follow_log
        from crashcart.runtimes.containers import asking

        with asking(where=container) as api:
            yield from follow_log(api, container, lines=lines, stands=Path(topology.state_dir).exists)
        return
    if container:
        from crashcart.runtimes.containers import gather_log

        gather_log(container, log)
    if not follow:
        yield from last_lines(log, lines)
        return
    with log.open("r", encoding="utf-8", errors="replace") as file:
        yield from [line.rstrip("\n") for line in file][-lines:]
        started = ""
        while True:
            started += file.readline()
            if started.endswith("\n"):
                yield started.rstrip("\n")
                started = ""
            elif not Path(topology.state_dir).exists():
                return
            else:
                time.sleep(_POLL_S)


def _row(topology: Topology, instance: Instance) -> Row:
    pids = instance_pids(topology.run_id, instance.name, Path(instance.data_dir))
    said = ask(instance.kind, instance.address) if pids else "it does not run"
    first = instance.process.pid if instance.process is not None else 0
    pid = first if first in pids else min(pids, default=None)  # started again by somebody who wrote nothing down
    return Row(instance.name, instance.kind, instance.address, pid, said)


def _instance(topology: Topology, name: str) -> Instance:
    names = [instance.name for instance in topology.instances]
    wanted = name if name in names else f"{name}[0]"
    if wanted not in names:
        raise UsageError(f"there is no instance {name!r}", remedy=did_you_mean(name, names, "instances"))
    return topology.instance(wanted)


def _container(instance: Instance) -> str:
    """The one that it is in; empty where it is in none. BootError where its stack is gone."""
    container = read_spec(Path(instance.spec_file)).container
    return "" if container is None else container.name


def _entry(name: str) -> Path:
    return stacks_dir() / f"{name}.json"


def _read(entry: Path) -> Topology | None:
    try:
        return msgspec.json.decode(entry.read_bytes(), type=Topology)
    except (OSError, msgspec.DecodeError):
        return None


def _fresh_logs(name: str) -> Path:
    folder = stacks_dir() / f"{name}.logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for log in folder.glob("*.log"):
        log.unlink()
    return folder
