"""The engine: whether one answers here, may be used by us, and is new enough."""

from __future__ import annotations

import os
import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING

from crashcart.model.errors import UsageError

if TYPE_CHECKING:
    import docker

MINIMUM_API = "1.41"
"""Docker 20.10."""
TIMEOUT_S = 60
_USUAL = "unix:///var/run/docker.sock"
_CONNECT_TIMEOUT_S = 5.0
_API = re.compile(r"\d+\.\d+", re.ASCII)


def connect() -> docker.DockerClient:
    """The engine of this machine, by DOCKER_HOST or at its usual socket.

    Raises:
        UsageError: there is none, it may not be used, it is too old, or it is on another machine.
    """
    address = os.environ.get("DOCKER_HOST", "").strip() or _USUAL
    path = _socket_path(address)
    _knock(path, address)
    return _client(f"unix://{path}", address)


def engine_errors() -> tuple[type[Exception], ...]:
    """What the SDK raises where the engine does not answer, or breaks off: of its own, and of what it stands on."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    return (DockerException, RequestException, HTTPError)


def went_away(doing: str, problem: Exception | None = None) -> UsageError:
    """The error to raise where the engine did not finish; `doing` such as `building crashcart/shop:1`."""
    why = f": {problem}" if problem else ""
    remedy = "`docker version` tells whether it answers; its log says why, and asking again is safe"
    return UsageError(f"the Docker engine went away while it was {doing}{why}", remedy=remedy)


def _socket_path(address: str) -> str:
    scheme, separator, path = address.partition("://")
    if scheme == "unix" and path.startswith("/"):
        return path
    if separator and scheme != "unix":
        raise UsageError(
            f"DOCKER_HOST names an engine that is reached over {scheme}: it may be on another machine",
            where=address,
            remedy="a run's load, proxies and clock are this machine's: unset DOCKER_HOST, or give it unix:///path",
        )
    raise UsageError(f"DOCKER_HOST={address!r} is no address", remedy=f"such as DOCKER_HOST={_USUAL}")


def _knock(path: str, address: str) -> None:
    """Ask the socket itself: it tells no engine from no permission."""
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as door:
            door.settimeout(_CONNECT_TIMEOUT_S)
            door.connect(path)
    except PermissionError as problem:
        raise UsageError(
            "this user may not use the Docker engine",
            where=address,
            remedy="sudo usermod -aG docker $USER, and log in again (who may use the engine may do all that root may)",
        ) from problem
    except OSError as problem:
        raise UsageError(
            f"no Docker engine answers: {problem.strerror or problem}",
            where=address,
            remedy="start it (sudo systemctl start docker, or sudo apt-get install docker.io), or say where it is in "
            "DOCKER_HOST",
        ) from problem


def _client(base_url: str, address: str) -> docker.DockerClient:
    import docker

    version, api = _asked(base_url, address)
    if _numbers(api) < _numbers(MINIMUM_API):
        raise UsageError(
            f"the Docker engine is {version} (API {api}); API {MINIMUM_API} is needed",
            where=address,
            remedy="install Docker 20.10 or newer",
        )
    return docker.DockerClient(base_url=base_url, version=api, timeout=TIMEOUT_S)


def _asked(base_url: str, address: str) -> tuple[str, str]:
    """The engine's version, and that of its API."""
    import docker

    try:
        with closing(docker.APIClient(base_url=base_url, version=MINIMUM_API, timeout=TIMEOUT_S)) as asking:
            said: object = asking.version(api_version=False)
    except engine_errors() as problem:
        raise _no_engine(address, str(problem)) from problem
    api = said.get("ApiVersion") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(api, str) or not _API.fullmatch(api):
        raise _no_engine(address, f"asked for its version it says {str(said)[:80]}")
    return str(said.get("Version", "of no version")), api


def _no_engine(address: str, why: str) -> UsageError:
    what = f"what listens there is no Docker engine, or it is not well: {why}"
    return UsageError(what, where=address, remedy="`docker version` asks it the same")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
