"""Containers whose processes are this machine's: started from a spec, known by their run's label, removed with it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING, Any

from crashcart.images.engine import engine_errors
from crashcart.model.errors import BootError, EngineError
from crashcart.processes import RUN_VARIABLE, boot_id, is_same_process, process_ref
from crashcart.runtimes.container_logs import gather
from crashcart.runtimes.spec import ContainerSpec, SpawnSpec

if TYPE_CHECKING:
    from docker import APIClient

RUN_LABEL, BOOT_LABEL = "crashcart.run", "crashcart.boot"
"""On whatever the engine keeps for a run: whose it is, and of which boot of the machine."""
INSTANCE_LABEL, LOG_LABEL = "crashcart.instance", "crashcart.log"
"""On containers: what it is, and where its log belongs."""
API_VERSION = "1.41"
TIMEOUT_S = 20
SOCKET = Path("/var/run/docker.sock")
_STOPPED_WITHIN_S = 5
_POLL_S = 0.01
_SIGNALLED = 128
_NOT_STARTED = "its container can not be started"
_TAKEN = 409
"""The status that says: there is one by that name."""
_BEING_REMOVED = frozenset({"removing", "dead"})
_LOG_BYTES = "256m"
_SCRATCH = "/tmp"  # noqa: S108 - inside the container
_SCRATCH_BYTES = 64 << 20
_MOST_PROCESSES = 512


class ContainerProcess:
    """The first process of a container, as this machine sees it. Implements `spec.Started`."""

    def __init__(self, name: str, pid: int, log: Path) -> None:
        """`pid`: 0 where it ended at once."""
        self.pid = pid
        self._log = log
        self.returncode: int | None = None
        self.removed = False
        self._name = name
        self._reference = process_ref(pid) if pid else None

    def has_ended(self) -> bool:
        """A look into /proc: the engine is not asked."""
        return self.returncode is not None or self._reference is None or not is_same_process(self._reference)

    def poll(self) -> int | None:
        """The engine is asked once, when it has ended."""
        if self.returncode is None and self.has_ended():
            self.returncode, self.removed = _how_it_ended(self._name)
            self.flush_log()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """When this returns, the engine knows it too: the container can be started again."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._name, timeout or 0.0)
            time.sleep(_POLL_S)
        return code

    def send_signal(self, sig: int) -> None:
        """Straight to the process."""
        if not self.has_ended():
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def flush_log(self) -> None:
        """The engine keeps it, until it is asked."""
        gather_log(self._name, self._log)


def engine(timeout_s: int = TIMEOUT_S) -> APIClient:
    """The engine of this machine, as DOCKER_HOST names it or at its usual place. EngineError where it is not."""
    import docker
    from docker.utils import kwargs_from_env

    try:
        return docker.APIClient(**kwargs_from_env(), version=API_VERSION, timeout=timeout_s, num_pools=32)
    except docker.errors.DockerException as error:
        raise EngineError(error) from error


@contextmanager
def asking(timeout_s: int = TIMEOUT_S, *, where: str = "") -> Iterator[APIClient]:
    """The engine, closed again afterwards. EngineError where it is not there, breaks off, or refuses what it is asked.

    Who can tell more of a refusal catches the SDK's APIError inside.
    """
    with closing(engine(timeout_s)) as api:
        try:
            yield api
        except engine_errors() as error:
            raise EngineError(error, where=where) from error


@contextmanager
def booting(name: str, refused: str) -> Iterator[APIClient]:
    """The engine, while something of a stack is made.

    Raises:
        BootError: about `name`, in the engine's words; `refused` begins it, such as `its container can not be started`.
    """
    import docker

    try:
        with asking() as api:
            try:
                yield api
            except docker.errors.APIError as error:
                raise BootError(name, f"{refused}: {error.explanation or error}") from error
    except EngineError as error:
        raise BootError(name, str(error)) from error


def engine_may_be_there() -> bool:
    """Whether it is worth asking for it."""
    return bool(os.environ.get("DOCKER_HOST")) or SOCKET.exists()


def alias_of(instance: str) -> str:
    """`orders-db-0`: what it is called in its networks."""
    return instance.replace("[", "-").rstrip("]")


def labels_of(run_id: str) -> dict[str, str]:
    """What all that the engine keeps for a run is found by."""
    return {RUN_LABEL: run_id, BOOT_LABEL: boot_id()}


def make_container(spec: SpawnSpec, container: ContainerSpec) -> None:
    """Make the container, unless the run has one by that name.

    Raises:
        BootError: it can't be, in the engine's words, or somebody else has one by that name.
    """
    with booting(spec.name, _NOT_STARTED) as api:
        _make(api, spec, container)


def start_container(spec: SpawnSpec, container: ContainerSpec) -> ContainerProcess:
    """Start the container, which is made where there is none by that name.

    Raises:
        BootError: it could not be, in the engine's words, or the one by that name is not this run's.
    """
    import docker

    with booting(spec.name, _NOT_STARTED) as api:
        try:
            found = api.inspect_container(container.name)
        except docker.errors.NotFound:
            _make(api, spec, container)
        else:
            _check_own(found, spec)
            _await_end(api, found)
        api.start(container.name)
        state = api.inspect_container(container.name)["State"]
    return ContainerProcess(container.name, int(state["Pid"]), Path(spec.log))


def gather_log(name: str, log: Path) -> None:
    """Write all that a container has printed so far to its log. What can't be had leaves the log as it is."""
    with suppress(EngineError), asking() as api:
        gather(api, name, log)


def _make(api: APIClient, spec: SpawnSpec, container: ContainerSpec) -> None:
    import docker

    networks = list(container.networks.items())
    attached = _attached(api, spec, *networks[0]) if networks else None
    try:
        api.create_container(
            container.image,
            command=list(spec.argv) if container.own_entrypoint else list(spec.argv[1:]),
            entrypoint=None if container.own_entrypoint else [spec.argv[0]],
            name=container.name,
            environment=spec.env,
            user=_user(spec),
            labels=_labels(spec),
            # readiness is asked for from outside; an image's own check would cost the service time
            healthcheck={"test": ["NONE"]},
            host_config=_host_config(api, spec, container, networks[0][0] if networks else "host"),
            networking_config=attached,
        )
    except docker.errors.APIError as error:
        if error.status_code != _TAKEN:
            raise
        _check_own(api.inspect_container(container.name), spec)
        return
    for network, address in networks[1:]:
        api.connect_container_to_network(container.name, network, ipv4_address=address)


def _check_own(found: Mapping[str, Any], spec: SpawnSpec) -> None:
    labels, name = found["Config"]["Labels"] or {}, found["Name"].lstrip("/")
    if labels.get(RUN_LABEL) != spec.env[RUN_VARIABLE]:
        what = f"there is a container {name} already, and it is not of this run"
        raise BootError(spec.name, what, remedy=f"find out whose it is; `docker rm -f {name}` removes it")


def _await_end(api: APIClient, found: Mapping[str, Any]) -> None:
    """Until its last life is over, unless somebody has begun its next one before us."""
    state = found["State"]
    if state["Running"] and process_ref(state["Pid"] or 0) is None:
        api.wait(found["Id"], timeout=_STOPPED_WITHIN_S)


def _user(spec: SpawnSpec) -> str:
    uid = os.geteuid() if spec.uid is None else spec.uid
    gid = os.getegid() if spec.gid is None else spec.gid
    return f"{uid}:{gid}"


def _labels(spec: SpawnSpec) -> dict[str, str]:
    return {**labels_of(spec.env[RUN_VARIABLE]), INSTANCE_LABEL: spec.name, LOG_LABEL: spec.log}


def _attached(api: APIClient, spec: SpawnSpec, network: str, address: str) -> dict[str, Any]:
    endpoint = api.create_endpoint_config(ipv4_address=address, aliases=[alias_of(spec.name)])
    return {"EndpointsConfig": {network: endpoint}}


def _host_config(api: APIClient, spec: SpawnSpec, container: ContainerSpec, network: str) -> object:
    from docker.types import LogConfig, Mount

    mounts = [Mount(folder, folder, type="bind") for folder in container.folders]
    mounts += [Mount(inside, file, type="bind", read_only=True) for file, inside in container.files.items()]
    # without a name they go with their container; with the label they are found where it went without them
    labels = labels_of(spec.env[RUN_VARIABLE])
    mounts += [Mount(path, None, type="volume", labels=labels) for path in _wanted_volumes(api, container)]
    return api.create_host_config(
        mounts=mounts,
        network_mode=network,
        read_only=True,
        tmpfs={_SCRATCH: f"size={_SCRATCH_BYTES},mode=1777"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=_MOST_PROCESSES,
        log_config=LogConfig(type="local", config={"max-size": _LOG_BYTES, "max-file": "1", "compress": "false"}),
        restart_policy={"Name": "no"},
    )


def _wanted_volumes(api: APIClient, container: ContainerSpec) -> list[str]:
    """Folders for which its image declares a volume: the engine would make one for each, and tell nobody whose."""
    image: dict[str, Any] = api.inspect_image(container.image)  # type: ignore[no-untyped-call]
    declared = (image.get("Config") or {}).get("Volumes") or {}
    ours = {_SCRATCH, *container.folders, *container.files.values()}
    return sorted({normpath(path) for path in declared} - ours)


def _how_it_ended(name: str) -> tuple[int, bool]:
    """−n for signal n, as a child of ours would have it; and whether its container is being removed, or is gone."""
    import docker

    try:
        with asking() as api:
            try:
                code = int(api.wait(name, timeout=_STOPPED_WITHIN_S)["StatusCode"])
                # who removes it by force has said so to the engine before it is killed
                removed = api.inspect_container(name)["State"]["Status"] in _BEING_REMOVED
            except docker.errors.NotFound:
                return -signal.SIGKILL, True
    except EngineError:
        return -signal.SIGKILL, False
    return (_SIGNALLED - code if code > _SIGNALLED else code), removed
