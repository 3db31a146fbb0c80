"""The two ways in: look (a run), or make what is missing (`crashcart setup`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from crashcart.tools import postgres, prometheus, promtool, toxiproxy, valkey
from crashcart.tools.cache import remove_leftovers, writable_cache_dir
from crashcart.tools.gobuild import remove_compiler
from crashcart.tools.stamp import read_stamp, write_stamp
from crashcart.tools.toolbox import Tool, Toolbox

FINDERS: Mapping[str, Callable[[], Tool]] = {
    postgres.NAME: postgres.find,
    valkey.NAME: valkey.find,
    toxiproxy.NAME: toxiproxy.find,
    prometheus.NAME: prometheus.find,
}
"""Each looks for one program and raises MissingTool; none makes anything."""

_MAKERS: Mapping[str, Callable[[Callable[[str], None]], Tool]] = {
    postgres.NAME: postgres.make,
    valkey.NAME: valkey.make,
    toxiproxy.NAME: toxiproxy.make,
    prometheus.NAME: prometheus.make,
}


def find_tools() -> Toolbox:
    """The four programs, without making any. Milliseconds if nothing changed since the last call.

    Raises:
        MissingTool: the first that is not there, with its remedy.
    """
    known = read_stamp()
    if known:
        return known
    toolbox = Toolbox(**{name: find() for name, find in FINDERS.items()})
    write_stamp(toolbox)
    return toolbox


def psql_folder() -> Path:
    """Where psql is. MissingTool."""
    known = read_stamp()
    return (known.postgres if known else postgres.find()).path


def setup(progress: Callable[[str], None]) -> Toolbox:
    """The four programs, made where they are missing: minutes the first time, nothing after that.

    Set-ups at the same moment wait for each other. `progress` gets one line at a time.

    Raises:
        MissingTool: one can't be had, with its remedy; those made before it stay.
        UsageError: the cache folder can't be written.
    """
    known = read_stamp()
    if known:
        return known
    with _at_work(progress):
        return read_stamp() or _make_all(progress)


def make_promtool(progress: Callable[[str], None]) -> Tool:
    """promtool, which checks rules and which no run needs: made where it is missing.

    Raises:
        MissingTool: it can't be had.
        UsageError: the cache folder can't be written.
    """
    with _at_work(progress):
        tool = promtool.make(progress)
        remove_compiler()
        return tool


@contextmanager
def _at_work(progress: Callable[[str], None]) -> Iterator[None]:
    """Holds the set-up lock."""
    from filelock import FileLock, Timeout

    lock = FileLock(writable_cache_dir() / "setup.lock")
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        progress("another setup is at work; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make_all(progress: Callable[[str], None]) -> Toolbox:
    remove_leftovers(writable_cache_dir())
    made: dict[str, Tool] = {}
    for name, make in _MAKERS.items():
        tool = make(progress)
        progress(f"{name} {tool.version} ({tool.origin})")
        made[name] = tool
    remove_compiler()
    toolbox = Toolbox(**made)
    write_stamp(toolbox)
    return toolbox
