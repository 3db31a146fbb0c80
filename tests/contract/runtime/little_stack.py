"""What the tests of the runtime share: a tiny design, and how it is booted."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from crashcart.model.design import Design, Init, Metadata, Service
from crashcart.runtimes.docker import DockerRuntime
from crashcart.runtimes.ending import stack_pids
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.local_stack import LocalStack

PROJECT = Path(__file__).with_name("project")
COMMAND = ("{python}", "little.py")
DATABASE = Service(
    kind="postgres",
    init=Init(sql=("schema.sql",), commands=(("{python}", "fill.py"),)),
    settings={"max_connections": 20, "shared_buffers": "16MB"},
)


def design(services: Mapping[str, Service], name: str = "little") -> Design:
    return Design("crashcart/v1", "Design", Metadata(name), dict(services))


def little_design(**changed: Service) -> Design:
    """A door, two helpers behind it, a database and a store; `changed` replaces or adds services."""
    services = {
        "door": Service(command=COMMAND, links=("helper", "notes-db", "store"), entry=True, env={"GREETING": "hello"}),
        "helper": Service(command=COMMAND, replicas=2),
        "notes-db": DATABASE,
        "store": Service(kind="valkey"),
    }
    return design({**services, **changed})


def lone_design(env: Mapping[str, str] | None = None) -> Design:
    """One service and nothing else: quickly up."""
    return design({"door": Service(command=COMMAND, entry=True, env=dict(env or {}))}, "lone")


def boot(
    runtime: LocalRuntime | DockerRuntime,
    what: Design,
    log_dir: Path,
    *,
    project_dir: Path = PROJECT,
    run_id: str | None = None,
    said: list[str] | None = None,
) -> LocalStack:
    return runtime.start(
        what,
        run_id=run_id or new_run(),
        project_dir=project_dir,
        log_dir=log_dir,
        extra_scrapes={},
        progress=print if said is None else said.append,
    )


@contextmanager
def booted(
    runtime: LocalRuntime | DockerRuntime, what: Design, log_dir: Path, *, project_dir: Path = PROJECT
) -> Iterator[LocalStack]:
    stack = boot(runtime, what, log_dir, project_dir=project_dir)
    try:
        yield stack
    finally:
        stack.stop()


def new_run() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def copied_project(destination: Path) -> Path:
    shutil.copytree(PROJECT, destination, ignore=shutil.ignore_patterns("__pycache__"))
    return destination


def get(address: str, path: str = "/livez") -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}{path}", timeout=10) as response:
        return str(response.read().decode())


def told(stack: LocalStack, instance: str) -> dict[str, str]:
    """The environment of a running instance, in its own words."""
    found: dict[str, str] = json.loads(get(stack.topology.instance(instance).address, "/environment"))
    return found


def ask_database(address: str, query: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(address, timeout=10)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def until(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Ask again and again; fails when it does not come true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def nothing_is_left(run_id: str, state_dir: str | Path) -> bool:
    return not stack_pids(run_id, Path(state_dir)) and not Path(state_dir).exists()
