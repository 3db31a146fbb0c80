"""A stack small enough to boot in a moment: two replicas of a one-page server behind a real Toxiproxy."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from crashcart.faults import decode_settings, registry
from crashcart.model.design import Design, Metadata, Service, proxies
from crashcart.model.errors import ControlPlaneError
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.model.topology import Instance, ProxyAddress, Topology
from crashcart.ports import Holder
from crashcart.runtimes import stopping
from crashcart.runtimes.addresses import Reservations
from crashcart.runtimes.ending import end_stack
from crashcart.runtimes.spec import SpawnSpec, base_environment, read_spec, reference, spawn, write_spec
from crashcart.toxiproxy import ProxySpec, Toxiproxy
from tests.contract.freezing import freeze

DESIGN = Design(
    api_version="crashcart/v1",
    kind="Design",
    metadata=Metadata("small"),
    services={"door": Service(links=("shop",), entry=True), "shop": Service(replicas=2)},
)

PAGE = """
import socket, sys, threading
def serve(connection):
    with connection:
        asked = b""
        while b"\\r\\n\\r\\n" not in asked:
            more = connection.recv(65536)
            if not more:
                return
            asked += more
        page = b"#" * 1000000 if asked.startswith(b"GET /large") else b"ok"
        page = b"#" * 20000 if asked.startswith(b"GET /metrics") else page
        head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n"
        connection.sendall(head % len(page) + page)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            return connection.recv(15) == b"HTTP/1.1 200 OK"
    except OSError:
        return False


def wait_until(what: Callable[[], object], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, f"not so within {within_s:g} s"
        time.sleep(0.02)


def planned(kind: str, settings: dict[str, object], fault_id: str = "f1") -> PlannedFault:
    fault = registry()[kind]
    decoded = decode_settings(fault, settings)
    return PlannedFault(
        id=fault_id,
        kind=kind,
        settings=settings,
        title=fault.title(decoded),
        targets=fault.targets(decoded, DESIGN),
        watched=fault.watched(decoded, DESIGN),
        links=("door.shop",),
        start_s=0.0,
        end_s=10.0,
        effect=fault.effect(decoded),
    )


class SmallStack:
    """Implements `ports.World`."""

    topology: Topology

    def __init__(self, run_id: str, base: Path, toxiproxy: Path, say: Callable[[str], None] = print) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._kept: dict[str, Holder] = {}
        self._ports = Reservations()
        self.state_dir = base / f"crashcart-{run_id}"
        self.state_dir.mkdir()
        instances = []
        say("folder made")
        for name in ("shop[0]", "shop[1]"):
            address = self._address()
            argv = (sys.executable, "-S", "-c", PAGE, address.rpartition(":")[2])
            instances.append(self._start(run_id, name, "shop", "process", address, argv))
            say(f"started {name}")
        api = self._address()
        host, _, port = api.rpartition(":")
        argv = (str(toxiproxy), "-host", host, "-port", port)
        instances.append(self._start(run_id, "toxiproxy", "toxiproxy", "toxiproxy", api, argv))
        say("started toxiproxy")
        upstreams = {instance.name: instance.address for instance in instances}
        addresses = tuple(
            ProxyAddress(proxy.name, proxy.link, self._address(), upstreams[proxy.dependency], "http")
            for proxy in proxies(DESIGN)
            if proxy.link == "door.shop"
        )
        self.topology = Topology(
            run_id=run_id,
            state_dir=str(self.state_dir),
            project_dir=str(base),
            instances=tuple(instances),
            proxies=addresses,
            toxiproxy_api=f"http://{api}",
            prometheus_url="",
        )
        wait_until(lambda: all(answers(one.address) for one in instances if one.kind == "process"))
        wait_until(Toxiproxy(self.topology.toxiproxy_api).running)
        self._populate()
        self._save()

    def kill(self, instance: str) -> None:
        child = self._children[instance]
        child.kill()
        child.wait()

    def terminate(self, instance: str, drain_s: float, /) -> None:
        self._children[instance].terminate()
        self._children[instance].wait(drain_s)

    def pause(self, instance: str) -> None:
        stopping.pause(self.topology, instance)

    def resume(self, instance: str) -> None:
        stopping.resume(self.topology, instance)

    def start_again(self, instance: str) -> None:
        if self._children[instance].poll() is None:
            return
        found = self.topology.instance(instance)
        self._children[instance] = spawn(read_spec(Path(found.spec_file)))
        wait_until(lambda: answers(found.address))

    def keep(self, key: str, holder: Holder) -> None:
        self.let_go(key)
        self._kept[key] = holder

    def let_go(self, key: str) -> None:
        if key in self._kept:
            self._kept.pop(key).close()

    def restart_toxiproxy(self) -> None:
        self.kill("toxiproxy")
        found = self.topology.instance("toxiproxy")
        self._children["toxiproxy"] = spawn(read_spec(Path(found.spec_file)))
        wait_until(Toxiproxy(self.topology.toxiproxy_api).running)
        self._populate()

    def signal(self, instance: str, number: signal.Signals) -> None:
        child = self._children[instance]
        if number == signal.SIGSTOP:
            freeze(child.pid)
        else:
            child.send_signal(number)

    def stop(self) -> None:
        end_stack(self.topology.run_id, self.state_dir)
        for child in self._children.values():
            child.wait()
        shutil.rmtree(self.state_dir, ignore_errors=True)
        self._ports.release()

    def _address(self) -> str:
        return f"127.0.0.1:{self._ports.take()}"

    def _start(self, run_id: str, name: str, service: str, kind: str, address: str, argv: tuple[str, ...]) -> Instance:
        log, spec_file = self.state_dir / f"{name}.log", self.state_dir / f"{name}.spec"
        environment = {**base_environment(run_id, name, kind), "LOG_LEVEL": "error"}
        spec = SpawnSpec(name, argv, environment, cwd=str(self.state_dir), log=str(log))
        write_spec(spec_file, spec)
        self._children[name] = child = spawn(spec)
        return Instance(
            name=name,
            service=service,
            kind=kind,
            address=address,
            process=reference(child.pid),
            log=str(log),
            data_dir=str(self.state_dir / "data" / name),
            spec_file=str(spec_file),
        )

    def _populate(self) -> None:
        specs = [ProxySpec(proxy.name, proxy.listen, proxy.upstream) for proxy in self.topology.proxies]
        Toxiproxy(self.topology.toxiproxy_api).populate(specs)

    def _save(self) -> None:
        partial = self.state_dir / "topology.partial"
        partial.write_bytes(msgspec.json.encode(self.topology))
        partial.replace(self.state_dir / "topology.json")


def broken(topology: Topology) -> list[str]:
    """What is out of order in the stack, asked by another way than the one that broke it."""
    found = []
    try:
        for proxy in Toxiproxy(topology.toxiproxy_api).proxies().values():
            found += [] if proxy.enabled else [f"{proxy.name} is off"]
            found += [f"{proxy.name} has {toxic}" for toxic in proxy.toxics()]
    except ControlPlaneError as problem:
        found.append(str(problem))
    found += [f"{one.name} is down" for one in topology.instances if one.kind == "process" and not answers(one.address)]
    return found


def a_step(kind: str = "toxiproxy/down", target: str = "door[0].shop[0]") -> Step:
    return Step(kind, target, {})
