"""What can be done to a container while it runs: its limits changed, its networks taken from it and given back.

Each takes an instance's spec file, which is all that whoever undoes it may have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crashcart.model.errors import BootError, CrashcartError
from crashcart.runtimes.containers import alias_of, asking
from crashcart.runtimes.spec import ContainerSpec, read_spec

if TYPE_CHECKING:
    from docker import APIClient

PERIOD_US = 100_000
"""In each of these a container gets its share of processor time: the kernel's default."""
UNLIMITED = -1
_IN_USE = ("resource busy", "unable to set memory limit")
"""In the words of older and of newer engines."""


def container_of(spec_file: str) -> ContainerSpec:
    """CrashcartError where the instance is in none."""
    try:
        container = read_spec(Path(spec_file)).container
    except BootError as error:
        raise CrashcartError(str(error)) from error
    if container is None:
        raise CrashcartError("it is in no container", where=Path(spec_file).stem)
    return container


def limit_cpu(spec_file: str, cpus: float | None) -> None:
    """So many processors' time and no more, from now on; None: as much as there is. Idempotent.

    Raises:
        CrashcartError: the engine refuses, or does not answer.
    """
    quota = UNLIMITED if cpus is None else round(cpus * PERIOD_US)
    with _speaking(container := container_of(spec_file)) as api, _none_to_lift(lifts=cpus is None):
        api.update_container(container.name, cpu_period=PERIOD_US, cpu_quota=quota)


def limit_memory(spec_file: str, mib: int | None) -> bool:
    """So much memory and no more; None: as much as there is. Idempotent.

    False where the running container holds more and the kernel does not take it away (control groups of the first
    version): nothing was changed then.

    Raises:
        CrashcartError: the engine refuses, or does not answer.
    """
    # the engine has no word for "no limit" that it takes later: all that this machine has is none. And while the
    # container runs it takes one on memory and swap together only as a number; older kernels refuse memory beyond that
    size = _memory_of_machine() if mib is None else mib << 20
    with_swap = 2 * size if mib is None else size
    try:
        with _speaking(container := container_of(spec_file)) as api, _none_to_lift(lifts=mib is None):
            api.update_container(container.name, mem_limit=size, memswap_limit=with_swap)
    except CrashcartError as error:
        if mib is not None and any(words in str(error) for words in _IN_USE):
            return False
        raise
    return True


def was_killed_for_memory(spec_file: str) -> bool:
    """Whether the container's first process was, in its last life."""
    with _speaking(container := container_of(spec_file)) as api:
        return bool(api.inspect_container(container.name)["State"]["OOMKilled"])


def cut_off(spec_file: str) -> None:
    """Take the container out of all its networks. Idempotent. CrashcartError where the engine refuses."""
    import docker

    with _speaking(container := container_of(spec_file)) as api:
        for network in container.networks:
            try:
                api.disconnect_container_from_network(container.name, network, force=True)
            except docker.errors.APIError as error:
                if "is not connected" not in str(error.explanation):
                    raise


def rejoin(spec_file: str) -> None:
    """Put it back, at the addresses that it has for life. Idempotent; a container that is gone is fine.

    Raises:
        CrashcartError: the engine refuses, or does not answer.
    """
    import docker

    with _speaking(container := container_of(spec_file)) as api:
        try:
            there: dict[str, Any] = api.inspect_container(container.name)["NetworkSettings"]["Networks"]
        except docker.errors.NotFound:
            return
        for network, address in container.networks.items():
            if network not in there:
                aliases = [alias_of(Path(spec_file).stem)]
                api.connect_container_to_network(container.name, network, ipv4_address=address, aliases=aliases)


@contextmanager
def _none_to_lift(*, lifts: bool) -> Iterator[None]:
    """A container that is not there has no limits to lift, and none can be set on it."""
    import docker

    try:
        yield
    except docker.errors.NotFound:
        if not lifts:
            raise


def _memory_of_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def _speaking(container: ContainerSpec) -> Iterator[APIClient]:
    """Whatever goes wrong is said in the engine's words."""
    import docker

    with asking(where=container.name) as api:
        try:
            yield api
        except docker.errors.APIError as error:
            raise CrashcartError(str(error.explanation or error), where=container.name) from error
