"""What a runtime has started, as data: where everything listens and what runs it."""

from __future__ import annotations

import msgspec


class ProcessRef(msgspec.Struct, frozen=True):
    """A process that can be told from another with the same id: pid, start time (clock ticks since boot) and boot."""

    pid: int
    started_ticks: int
    boot_id: str


class Instance(msgspec.Struct, frozen=True):
    """One running replica."""

    name: str
    service: str
    kind: str
    """`process`, `postgres`, `valkey`, `toxiproxy`, `prometheus`, `load`."""
    address: str
    """host:port where it really listens."""
    process: ProcessRef | None
    log: str
    data_dir: str
    spec_file: str = ""
    """Private file (0600, outside the recording) with argv, env, cwd and account: enough to start it again."""


class ProxyAddress(msgspec.Struct, frozen=True):
    """Where a proxy listens and what is behind it."""

    name: str
    link: str
    listen: str
    upstream: str
    protocol: str
    """`http`, `postgres` or `valkey`: how a probe speaks to it."""


class Topology(msgspec.Struct, frozen=True):
    """A started stack."""

    run_id: str
    """Every process has it in its environment as CRASHCART_RUN_ID: what was started can be found and ended."""
    state_dir: str
    """Throw-away folder of the stack (data, specs, topology.json)."""
    project_dir: str
    instances: tuple[Instance, ...]
    proxies: tuple[ProxyAddress, ...]
    toxiproxy_api: str
    """http://127.0.0.1:PORT"""
    prometheus_url: str
    runtime: str = "local"
    """`local`, or `docker`: its processes are those of containers, which are to be removed with them."""

    def instance(self, name: str) -> Instance:
        """By name; KeyError where there is none."""
        for instance in self.instances:
            if instance.name == name:
                return instance
        raise KeyError(name)

    def proxy(self, name: str) -> ProxyAddress:
        """By name; KeyError where there is none."""
        for proxy in self.proxies:
            if proxy.name == name:
                return proxy
        raise KeyError(name)
