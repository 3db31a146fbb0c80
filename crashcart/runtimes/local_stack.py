"""A stack of processes on this machine, in the hands of the process that started it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from crashcart.model.topology import Instance, Topology
from crashcart.runtimes import toxiproxy_server
from crashcart.runtimes.children import Children
from crashcart.runtimes.ending import DRAIN_SIGNALS, GRACE_S, end_stack, instance_pids, kill_all, terminate
from crashcart.runtimes.layout import link_address
from crashcart.runtimes.precedence import come_first
from crashcart.runtimes.spec import (
    SpawnSpec,
    base_environment,
    identity,
    python_environment,
    read_spec,
    reference,
    spawn_again,
    write_spec,
)
from crashcart.runtimes.starting import Starter, ending_words, last_lines
from crashcart.runtimes.timeline import Mark
from crashcart.runtimes.topology_file import save_topology

_REAP_S = 2.0
_PART = "load"


class LocalStack:
    """Implements `ports.Stack`. All but `spawn_part`, `end_part`, `stop` and `let_go` may be used from any thread."""

    def __init__(
        self,
        topology: Topology,
        *,
        children: Children,
        release: Callable[[], None],
        boot_s: float,
        timeline: Sequence[Mark],
        log_dir: Path,
        cache: Path,
    ) -> None:
        self.topology = topology
        self.boot_s = boot_s
        self.timeline = tuple(timeline)
        """What took how long of the boot."""
        self._children = children
        self._release = release
        self._log_dir = log_dir
        self._cache = cache
        self._starter = Starter()
        self._lock = threading.Lock()
        self._stopped = False

    def __repr__(self) -> str:
        return (
            f"LocalStack({self.topology.run_id}, {len(self.topology.instances)} instances, {self.topology.state_dir})"
        )

    def dead(self) -> Mapping[str, tuple[str, ...]]:
        """Instances that died without being asked to → how, and the last lines of their logs."""
        return {
            name: (*last_lines(self.topology.instance(name).log), f"({ending_words(process)})")
            for name, process in self._children.died().items()
        }

    def removed(self) -> frozenset[str]:
        """Of the dead, those whose container somebody has removed from the engine: that was not the shop."""
        return frozenset(name for name, process in self._children.died().items() if process.removed)

    def kill(self, instance: str) -> None:
        """SIGKILL all its processes; none is left when this returns. Idempotent. KeyError where there is none."""
        with self._children.turn(instance):
            self._children.expect_end(instance)
            kill_all(lambda: self._pids(instance))
            self._children.reap(instance, _REAP_S)

    def terminate(self, instance: str, *, drain_s: float) -> None:
        """Ask its first process to end and give it `drain_s` for that; then as `kill`. KeyError where there is none."""
        with self._children.turn(instance):
            self._children.expect_end(instance)
            leader = self._children.pid(instance)
            if leader is not None and self._children.lives(instance):
                terminate({leader}, drain_s, DRAIN_SIGNALS.get(self.topology.instance(instance).kind, signal.SIGTERM))
            kill_all(lambda: self._pids(instance))
            self._children.reap(instance, _REAP_S)

    def start_again(self, instance: str, *, ready_within_s: float) -> None:
        """Start a killed instance at its address and wait until it is ready; one that runs is only waited for.

        Raises:
            BootError: it died again, or was not ready in time.
        """
        found = self.topology.instance(instance)
        with self._children.turn(instance):
            if not self._children.lives(instance):
                process = spawn_again(read_spec(Path(found.spec_file)))
                self._children.add(instance, process)
                self._replace(msgspec.structs.replace(found, process=reference(process.pid)))
            self._starter.wait_ready(
                lambda: self._children.how_it_ended(instance),
                name=instance,
                kind=found.kind,
                address=found.address,
                log=found.log,
                within_s=ready_within_s,
                flush_log=lambda: self._children.flush_log(instance),
            )

    def restart_toxiproxy(self, *, disabled: Iterable[str] | None = None) -> None:
        """Start Toxiproxy again with all its proxies (see `toxiproxy_server`). The run is not valid then."""
        with self._children.turn(toxiproxy_server.NAME):
            self._children.expect_end(toxiproxy_server.NAME)
            process = toxiproxy_server.restart_toxiproxy(self.topology, disabled=disabled)
            self._children.add(toxiproxy_server.NAME, process)
            found = self.topology.instance(toxiproxy_server.NAME)
            self._replace(msgspec.structs.replace(found, process=reference(process.pid)))

    def cpu_s(self) -> Mapping[str, float]:
        """CPU seconds used so far, by instance, `toxiproxy`, `prometheus` and parts such as `load`. Never decreases."""
        return self._children.cpu_s()

    def memory_mib(self) -> Mapping[str, float]:
        """Resident memory by instance, `toxiproxy`, `prometheus` and parts such as `load`."""
        return self._children.memory_mib()

    def private_mib(self) -> Mapping[str, float]:
        """The same without files and what may be shared: what a leak makes grow."""
        return self._children.private_mib()

    def io_bytes(self) -> Mapping[str, Mapping[str, int]]:
        """Of each that is in a container with a network of its own: bytes received, sent, read and written."""
        return {name: asdict(count) for name, count in self._children.io_bytes().items()}

    def file(self, instance: str, name: str) -> Path:
        """A file in the instance's data folder; it may not exist."""
        return Path(self.topology.instance(instance).data_dir) / name

    def database_address(self, service: str) -> str:
        """Of a Postgres service (its first replica) or of one instance, beside the proxy."""
        name = service if service.endswith("]") else f"{service}[0]"
        return link_address("postgres", self.topology.instance(name).address)

    def spawn_part(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Instance:
        """Start a part of the harness, such as `load`: in a group of its own, counted, watched and ended with all.

        `{python}` stands for our interpreter; what is in `env` comes on top of what every process gets.
        """
        topology = self.topology
        command = tuple(sys.executable if word == "{python}" else word for word in argv)
        told = {**base_environment(topology.run_id, name, _PART), **env, **identity(topology.run_id, name, _PART)}
        told |= python_environment(self._cache)
        # with a place of its own for byte code Python looks nowhere else: it would compile everything at each start
        told.pop("PYTHONDONTWRITEBYTECODE", None)
        log = self._log_dir / f"{name}.log"
        spec = SpawnSpec(name, command, told, topology.project_dir, str(log))
        spec_file = Path(topology.state_dir) / "specs" / f"{name}.json"
        write_spec(spec_file, spec)
        data_dir = Path(topology.state_dir) / "data" / name
        data_dir.mkdir(mode=0o700, exist_ok=True)
        process = self._starter.spawn(spec)
        come_first(process.pid)
        self._children.add(name, process)
        part = Instance(name, name, _PART, "", reference(process.pid), str(log), str(data_dir), str(spec_file))
        self._replace(part)
        return part

    def end_part(self, name: str) -> None:
        """SIGTERM, then SIGKILL. Idempotent; a part that was never started is fine."""
        if name not in self._children.names():
            return
        with self._children.turn(name):
            self._children.expect_end(name)
            terminate(self._pids(name), GRACE_S)
            kill_all(lambda: self._pids(name))
            self._children.reap(name, _REAP_S)

    def stop(self) -> tuple[str, ...]:
        """End everything within 2 s and remove the throw-away folder. Idempotent. Returns what is left, in words."""
        with self._lock:
            if self._stopped:
                return ()
            self._stopped = True
        self._starter.cancel()
        for name in self._children.names():
            self._children.expect_end(name)
        try:
            left = end_stack(self.topology.run_id, Path(self.topology.state_dir))
            living = self._children.reap_all(_REAP_S)
        finally:
            self._release()
        return (*left, *(f"{name} did not end" for name in living))

    def let_go(self) -> None:
        """Leave everything running; from now on it is known by its topology alone (`stop_topology` ends it)."""
        with self._lock:
            self._stopped = True
        self._starter.cancel()
        self._children.let_go()
        self._release()

    def _pids(self, instance: str) -> set[int]:
        return instance_pids(self.topology.run_id, instance, Path(self.topology.instance(instance).data_dir))

    def _replace(self, instance: Instance) -> None:
        with self._lock:
            others = [other for other in self.topology.instances if other.name != instance.name]
            names = [other.name for other in self.topology.instances]
            others.insert(names.index(instance.name) if instance.name in names else len(others), instance)
            self.topology = msgspec.structs.replace(self.topology, instances=tuple(others))
            save_topology(self.topology)
