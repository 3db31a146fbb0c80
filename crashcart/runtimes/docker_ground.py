"""What a design is booted on: containers of this machine's Docker engine, in networks of their own."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from crashcart.model.design import Design
from crashcart.model.errors import BootError
from crashcart.model.topology import Topology
from crashcart.runtimes.addresses import Reservations
from crashcart.runtimes.container_layout import LEAVES, lay_out_containers
from crashcart.runtimes.containers import alias_of, booting, labels_of, make_container
from crashcart.runtimes.grounds import Programs
from crashcart.runtimes.layout import Layout
from crashcart.runtimes.postgres import PostgresProgram
from crashcart.runtimes.spec import ContainerSpec, SpawnSpec, identity
from crashcart.tools import ServerAccount

if TYPE_CHECKING:
    from docker import APIClient

BLOCKS = IPv4Network("10.192.0.0/10")
"""Private addresses, seldom used: a run takes a part that nobody here has."""
BLOCK_BITS = 20
_ATTEMPTS = 50
_OWN_ENTRYPOINTS = frozenset({"toxiproxy", "prometheus"})
"""Images that hold one program and nothing else: where it lies in there is theirs to know."""


class DockerGround:
    """Implements `grounds.Ground`."""

    runtime: ClassVar[str] = "docker"

    def __init__(self, run_id: str, images: Mapping[str, str], python: str, account: ServerAccount, psql: Path) -> None:
        """`images`: kind → image, of services that are commands under `process`. `psql`: the folder it is in, here."""
        # databases of another image are other databases
        server = PostgresProgram(Path(), images.get("postgres", ""), account, psql, self.placed, self.environment)
        self.programs = Programs(server, Path("valkey-server"), Path("toxiproxy"), Path("prometheus"), python)
        self._run_id = run_id
        self._images = images
        self._account = account
        self._prefix = f"crashcart-{run_id}-"
        self._reservations = Reservations()
        self._files: dict[str, str] = {}
        self._made: dict[str, Future[None]] = {}

    def lay_out(self, design: Design) -> Layout:
        """Addresses that nobody here uses. UsageError where the design has too many for them."""
        self._design, self._prometheus_port = design, self._reservations.take()
        return self._lay_out(_free_block())

    def _lay_out(self, block: IPv4Network) -> Layout:
        layout, self._networks = lay_out_containers(
            self._design, prefix=self._prefix, block=block, prometheus_port=self._prometheus_port
        )
        return layout

    def template_address(self, service: str) -> str:
        """Among the services that have no dependencies."""
        return self._networks.templates[service]

    @contextmanager
    def getting_ready(self, topology: Topology) -> Iterator[None]:
        """Make the networks meanwhile, and first what every container is told about accounts."""
        self._files = _accounts(Path(topology.state_dir), self._account)
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="networks") as pool:
            self._made = {
                name: pool.submit(self._make_network, name, subnet) for name, subnet in self._networks.subnets.items()
            }
            yield

    def _make_network(self, name: str, subnet: IPv4Network) -> None:
        from docker.types import IPAMConfig, IPAMPool

        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))])
        with booting(name, "the network can not be made") as api:
            api.create_network(name, driver="bridge", internal=True, ipam=ipam, labels=labels_of(self._run_id))

    def environment(self, run_id: str, name: str, kind: str) -> dict[str, str]:
        """The image's own, and by what it is found again: its processes are this machine's."""
        return identity(run_id, name, kind)

    def python_environment(self) -> Mapping[str, str]:
        """Byte code is in the image."""
        return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def placed(self, spec: SpawnSpec) -> SpawnSpec:
        """In a container of its own, at its own address, with its folder at the place where this machine has it."""
        kind = spec.env["CRASHCART_KIND"]
        networks = self._networks.addresses.get(spec.name)
        if networks is None and spec.name != "prometheus":
            networks = self._of_template(spec.name)
        container = ContainerSpec(
            name=self._prefix + alias_of(spec.name),
            image=self._images[kind],
            networks=dict(networks or {}),
            folders=(self._folder(spec),),
            files=self._files,
            own_entrypoint=kind in _OWN_ENTRYPOINTS,
        )
        argv = spec.argv[1:] if container.own_entrypoint else spec.argv
        env = dict(spec.env)
        if "LISTEN_ADDRESS" in env and networks:
            # a design may fix the port; the address is the container's
            env["LISTEN_ADDRESS"] = f"{next(iter(networks.values()))}:{env['LISTEN_ADDRESS'].rpartition(':')[2]}"
        uid, gid = _ids(self._account)
        return msgspec.structs.replace(spec, argv=argv, env=env, uid=uid, gid=gid, container=container)

    def make(self, spec: SpawnSpec) -> None:
        """Its container, once its networks are there."""
        assert spec.container is not None
        self._await(spec.container.networks)
        make_container(spec, spec.container)

    def _of_template(self, name: str) -> Mapping[str, str]:
        """`orders-db-initdb` and `orders-db-server` are where the template of orders-db is made."""
        address = self._networks.templates[name.rpartition("-")[0]].rpartition(":")[0]
        found = {f"{self._prefix}{LEAVES}": address}
        self._await(found)
        return found

    def _await(self, networks: Iterable[str]) -> None:
        """Until they are made. BootError: one can't be, or the engine does not answer."""
        for name in networks:
            self._made[name].result()

    def _folder(self, spec: SpawnSpec) -> str:
        if spec.env["CRASHCART_KIND"] == "process":
            return spec.env["DATA_DIR"]
        return spec.cwd

    def own(self, folder: Path) -> None:
        """To whom its container runs as."""
        if self._account.uid is not None and self._account.gid is not None:
            os.chown(folder, self._account.uid, self._account.gid)

    def release(self) -> None:
        """The port of Prometheus."""
        self._reservations.release()


def _ids(account: ServerAccount) -> tuple[int, int]:
    uid = os.geteuid() if account.uid is None else account.uid
    gid = os.getegid() if account.gid is None else account.gid
    return uid, gid


def _accounts(state_dir: Path, account: ServerAccount) -> dict[str, str]:
    """Postgres insists that whoever runs it has a name: files of the stack's folder → where they are seen."""
    uid, gid = _ids(account)
    passwd, group = state_dir / "passwd", state_dir / "group"
    passwd.write_text(f"root:x:0:0::/:/bin/sh\ncrashcart:x:{uid}:{gid}::/tmp:/bin/sh\n", encoding="ascii")
    group.write_text(f"root:x:0:\ncrashcart:x:{gid}:\n", encoding="ascii")
    for file in (passwd, group):
        file.chmod(0o644)
    return {str(passwd): "/etc/passwd", str(group): "/etc/group"}


def _free_block() -> IPv4Network:
    """A block that no route of this machine and no network of the engine overlaps."""
    with booting("networks", "its networks can not be listed") as api:
        taken = [*_routes(), *_engine_subnets(api)]
    for _ in range(_ATTEMPTS):
        number = random.randrange(1 << (BLOCK_BITS - BLOCKS.prefixlen))
        block = IPv4Network((int(BLOCKS.network_address) + (number << (32 - BLOCK_BITS)), BLOCK_BITS))
        if not any(block.overlaps(other) for other in taken):
            return block
    raise BootError("networks", f"found no free block of addresses in {BLOCKS}", remedy="remove unused Docker networks")


def _routes() -> list[IPv4Network]:
    found = []
    for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        # proc(5): addresses are hexadecimal, in this machine's byte order
        destination, mask = (int.from_bytes(bytes.fromhex(fields[column])[::-1], "big") for column in (1, 7))
        if mask:
            found.append(IPv4Network((destination, mask.bit_count())))
    return found


def _engine_subnets(api: APIClient) -> list[IPv4Network]:
    pools = (pool for one in api.networks() for pool in one["IPAM"]["Config"] or ())
    return [IPv4Network(pool["Subnet"]) for pool in pools if ":" not in pool.get("Subnet", ":")]
