"""The Toxiproxy server of a stack: started with all its proxies, and started again when its control plane hangs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from crashcart.model.topology import ProxyAddress, Topology
from crashcart.runtimes.ending import instance_pids, kill_all
from crashcart.runtimes.readiness import split
from crashcart.runtimes.spec import Started, read_spec, spawn_again
from crashcart.runtimes.starting import Starter, ending_words
from crashcart.toxiproxy import ProxySpec, Toxiproxy

NAME = "toxiproxy"
READY_WITHIN_S = 5.0
_LISTENING = "0A"


def toxiproxy_argv(program: Path, address: str) -> tuple[str, ...]:
    """Bytes are counted when a connection closes, which costs next to nothing, and /metrics is served only then."""
    host, port = split(address)
    return (str(program), "-host", host, "-port", str(port), "-proxy-metrics")


def populate(api_url: str, proxies: Iterable[ProxyAddress], *, disabled: frozenset[str] = frozenset()) -> None:
    """Make all proxies; those listen when this returns. ControlPlaneError where one can't."""
    wanted = [ProxySpec(proxy.name, proxy.listen, proxy.upstream, proxy.name not in disabled) for proxy in proxies]
    Toxiproxy(api_url).populate(wanted)


def restart_toxiproxy(topology: Topology, *, disabled: Iterable[str] | None = None) -> Started:
    """Kill the server and start it at its address with the same proxies; toxics are gone. The run does not count then.

    Proxies in `disabled` stay off; by default those that are off now, seen from outside: nothing listens.

    Raises:
        BootError: it did not come up. ControlPlaneError: it did not take its proxies.
    """
    instance = topology.instance(NAME)
    if disabled is None:
        # of a server that is dead already nothing listens: then there is no telling, and all are on
        alive = instance_pids(topology.run_id, NAME, Path(instance.data_dir))
        disabled = silent_proxies(topology.proxies, min(alive)) if alive else ()
    off = frozenset(disabled)
    kill_all(lambda: instance_pids(topology.run_id, NAME, Path(instance.data_dir)))
    process = spawn_again(read_spec(Path(instance.spec_file)))
    Starter().wait_ready(
        lambda: ending_words(process),
        name=NAME,
        kind=NAME,
        address=instance.address,
        log=instance.log,
        within_s=READY_WITHIN_S,
        flush_log=process.flush_log,
    )
    populate(topology.toxiproxy_api, topology.proxies, disabled=off)
    return process


def silent_proxies(proxies: Iterable[ProxyAddress], pid: int) -> tuple[str, ...]:
    """Proxies on whose port nothing listens: off, whatever the control plane would say if it answered.

    `pid`: of the server, whose network may be a container's.
    """
    listening = _listening_ports(pid)
    return tuple(proxy.name for proxy in proxies if split(proxy.listen)[1] not in listening)


def _listening_ports(pid: int) -> frozenset[int]:
    lines = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = (line.split() for line in lines)
    return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING)
