"""What the tests of containers share: the little project in an image, and looks at what the engine has."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crashcart.faults import decode_settings, registry
from crashcart.model.plan import PlannedFault
from crashcart.runtimes.container_leftovers import left_of
from crashcart.runtimes.containers import RUN_LABEL, alias_of
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.state_dir import STATE_PREFIX
from tests.contract.runtime.little_stack import PROJECT, little_design, nothing_is_left

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

    from crashcart.ports import FaultKind, Observer

TAG = "crashcart-test/little:1"
CONNECT = """if True:
    import socket, sys
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5):
            print("connected")
    except OSError as problem:
        print("no way:", problem)
"""


def build_little(client: docker.DockerClient, base: str) -> str:
    """The little project's one program on the image of Python. Returns its tag. Nothing is fetched."""
    dockerfile = f"FROM {base}\nWORKDIR /srv/little\nCOPY little.py .\n"
    files = {"Dockerfile": dockerfile.encode(), "little.py": (PROJECT / "little.py").read_bytes()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    client.images.build(fileobj=packed, custom_context=True, tag=TAG, rm=True, forcerm=True, network_mode="none")
    return TAG


def container(client: docker.DockerClient, stack: LocalStack, instance: str) -> Container:
    return client.containers.get(f"crashcart-{stack.topology.run_id}-{alias_of(instance)}")


def inspected(client: docker.DockerClient, stack: LocalStack, instance: str) -> dict[str, Any]:
    found: dict[str, Any] = container(client, stack, instance).attrs
    return found


def containers(client: docker.DockerClient, run_id: str) -> list[Container]:
    return list(client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"}))


def connecting(client: docker.DockerClient, stack: LocalStack, instance: str, address: str) -> str:
    """What a program in that instance's container says when it connects to host:port: `connected`, or why not."""
    host, _, port = address.rpartition(":")
    said = container(client, stack, instance).exec_run(["python", "-c", CONNECT, host, port])
    assert isinstance(said.output, bytes)
    return said.output.decode().strip()


def no_container_is_left(client: docker.DockerClient, run_id: str) -> bool:
    """No container, network, volume, process or folder."""
    volumes = client.volumes.list(filters={"label": f"{RUN_LABEL}={run_id}"})
    folder = Path("/dev/shm", f"{STATE_PREFIX}{run_id}")
    return left_of(run_id) == () and not volumes and nothing_is_left(run_id, folder)


def volumes_of(client: docker.DockerClient, run_id: str) -> list[str]:
    """Those that its containers have, with a label or without: the engine makes one for each VOLUME of an image."""
    return [name for one in containers(client, run_id) for name in volumes_in(one)]


def volumes_in(one: Container) -> list[str]:
    return [mount["Name"] for mount in one.attrs["Mounts"] if mount["Type"] == "volume"]


@contextmanager
def leaving_no_volume(client: docker.DockerClient) -> Iterator[None]:
    """Afterwards no container has left one behind, whatever labels it has: all that nobody uses were there before."""
    before = _unused_volumes(client)
    yield
    assert _unused_volumes(client) <= before


def _unused_volumes(client: docker.DockerClient) -> set[str]:
    return {str(one.name) for one in client.volumes.list(filters={"dangling": True})}


def planned(kind: str, settings: dict[str, object], fault_id: str = "f1") -> PlannedFault:
    """On the little design."""
    fault, design = registry()[kind], little_design()
    decoded = decode_settings(fault, settings)
    return PlannedFault(
        id=fault_id,
        kind=kind,
        settings=settings,
        title=fault.title(decoded),
        targets=fault.targets(decoded, design),
        watched=fault.watched(decoded, design),
        links=fault.links(decoded, design),
        start_s=0.0,
        end_s=10.0,
        effect=fault.effect(decoded),
    )


def observer_of(fault: PlannedFault, stack: LocalStack) -> Observer:
    kind: FaultKind = registry()[fault.kind]
    observer = kind.observer(decode_settings(kind, fault.settings), fault, stack.topology)
    assert observer is not None
    return observer


def stays(condition: Callable[[], object], *, for_s: float) -> bool:
    """Whether it holds at every look, for so long."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        if not condition():
            return False
        time.sleep(0.05)
    return True
