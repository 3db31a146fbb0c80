"""What a container prints, while it prints it. The engine keeps it: the log file is written when the container goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.images.engine import engine_errors
from crashcart.model.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

_POLL_S = 0.5
_HEAD_BYTES = 8


def gather(api: APIClient, name: str, log: Path) -> None:
    """Write all that it has printed so far to its log. What can't be had, or not in time, leaves the log as it is."""
    in_vain: tuple[type[Exception], ...] = (OSError, *engine_errors())
    partial = log.with_name(f".{log.name}.partial")
    try:
        with partial.open("wb") as file:
            for chunk in _so_far(api, name):
                file.write(chunk)
        partial.replace(log)
    except in_vain:
        partial.unlink(missing_ok=True)


def follow_log(api: APIClient, name: str, *, lines: int, stands: Callable[[], bool]) -> Iterator[str]:
    """A container's last lines, then all that come after them, over all its lives, for as long as `stands()`.

    Raises:
        EngineError: the engine does not answer.
    """
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


def _so_far(api: APIClient, name: str) -> Iterator[bytes]:
    """By hand: the SDK waits for ever for an engine that stops in the middle."""
    url = f"{api.base_url}/v{api.api_version}/containers/{name}/logs"
    with api.get(url, params={"stdout": 1, "stderr": 1}, stream=True, timeout=api.timeout) as response:
        response.raise_for_status()
        # frames of 8 bytes that end with a length, and so many more
        while len(head := response.raw.read(_HEAD_BYTES)) == _HEAD_BYTES:
            yield response.raw.read(int.from_bytes(head[4:], "big"))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _printed(api: APIClient, name: str, *, follow: bool) -> Iterator[bytes]:
    """From its first byte on; with `follow`, until it ends. Nothing where there is no such container."""
    import docker

    try:
        yield from api.logs(name, stdout=True, stderr=True, stream=True, follow=follow)
    except docker.errors.NotFound:
        return
    except engine_errors() as error:
        raise EngineError(error, where=name) from error
