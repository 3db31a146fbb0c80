"""What a container prints, while it prints it. The engine keeps it: the log file is written when the container goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from crashcart.model.errors import ControlPlaneError
from crashcart.runtimes.containers import engine

if TYPE_CHECKING:
    from docker import APIClient

_POLL_S = 0.5


def follow_log(name: str, *, lines: int, stands: Callable[[], bool]) -> Iterator[str]:
    """A container's last lines, then all that come after them, over all its lives, for as long as `stands()`.

    Raises:
        ControlPlaneError: the engine does not answer.
    """
    api = engine()
    try:
        seen, begun = 0, b""
        last: deque[bytes] = deque(maxlen=lines)
        for chunk in _printed(api, name, follow=False):
            seen += len(chunk)
            *whole, begun = (begun + chunk).split(b"\n")
            last.extend(whole)
        yield from map(_text, last)
        while stands():
            skip = seen
            for chunk in _printed(api, name, follow=True):
                new = chunk[skip:]
                skip -= len(chunk) - len(new)
                seen += len(new)
                *whole, begun = (begun + new).split(b"\n")
                yield from map(_text, whole)
            if skip:  # it has printed less than that: another container by the same name
                seen, begun = 0, b""
            time.sleep(_POLL_S)
    finally:
        api.close()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _printed(api: APIClient, name: str, *, follow: bool) -> Iterator[bytes]:
    """From its first byte on; with `follow`, until it ends. Nothing where there is no such container."""
    import docker
    import requests
    import urllib3

    try:
        yield from api.logs(name, stdout=True, stderr=True, stream=True, follow=follow)
    except docker.errors.NotFound:
        return
    except (requests.RequestException, docker.errors.DockerException, urllib3.exceptions.HTTPError) as error:
        raise ControlPlaneError(f"the Docker engine does not answer: {error}", where=name) from error
