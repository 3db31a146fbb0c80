"""What the engine keeps for runs: looked for by their label, and removed, whoever made it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crashcart.images.engine import engine_errors
from crashcart.model.errors import EngineError
from crashcart.processes import boot_id
from crashcart.runtimes.container_logs import gather
from crashcart.runtimes.containers import BOOT_LABEL, LOG_LABEL, RUN_LABEL, asking, engine_may_be_there

if TYPE_CHECKING:
    from docker import APIClient

ASK_S = 3
"""No more than a question whether it has something."""
REMOVE_WITHIN_S = 4.0
_LEAST_TRIES = 2


def remove_run(run_id: str, *, within_s: float = REMOVE_WITHIN_S) -> tuple[str, ...]:
    """Keep the logs of all containers of a run, then remove them, its networks and its volumes. Idempotent.

    Returns what is left when the time is over, in words.
    """
    deadline, tries = time.monotonic() + within_s, 0
    while True:
        tries += 1
        try:
            left = _remove_once(run_id)
        except EngineError as error:
            left = (str(error),)
        # a first try may take all of the time, and a network goes only after its last container
        if not left or (time.monotonic() > deadline and tries >= _LEAST_TRIES):
            return left
        time.sleep(0.1)


def left_of(run_id: str) -> tuple[str, ...]:
    """What the engine still keeps for a run, by name; that it does not answer, in its place."""
    try:
        with asking(ASK_S) as api:
            names = [one["Names"][0].lstrip("/") for one in _containers(api, run_id)]
            return (*names, *(one["Name"] for one in (*_networks(api, run_id), *_volumes(api, run_id))))
    except EngineError as error:
        return (str(error),)


def runs_of_earlier_boots() -> frozenset[str]:
    """Runs of which the engine kept something over a boot of the machine. None where there is no engine."""
    if not engine_may_be_there():
        return frozenset()
    try:
        with asking(ASK_S) as api:
            labels = [one["Labels"] for one in (*_containers(api), *_networks(api), *_volumes(api))]
    except EngineError:
        return frozenset()
    return frozenset(one[RUN_LABEL] for one in labels if one.get(BOOT_LABEL) != boot_id())


def _remove_once(run_id: str) -> tuple[str, ...]:
    with asking() as api:
        containers, networks = _kept(run_id)
        with ThreadPoolExecutor(max_workers=16, thread_name_prefix="remove") as pool:
            found = [*pool.map(lambda one: _remove_container(api, one), containers)]
            found += pool.map(lambda one: _without_error(lambda: api.remove_network(one["Id"]), one["Name"]), networks)
            # a volume goes with its container, unless somebody else has removed that one without it
            orphans = _volumes(api, run_id)
            found += pool.map(lambda one: _without_error(lambda: api.remove_volume(one["Name"]), one["Name"]), orphans)
    return tuple(problem for problem in found if problem)


def _kept(run_id: str) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Containers and networks. An engine that hangs is found out by a question, long before it would fail to remove."""
    with asking(ASK_S) as api:
        return _containers(api, run_id), _networks(api, run_id)


def _remove_container(api: APIClient, one: Mapping[str, Any]) -> str:
    log = one["Labels"].get(LOG_LABEL)
    if log and Path(log).parent.is_dir():
        gather(api, one["Id"], Path(log))
    return _without_error(lambda: api.remove_container(one["Id"], force=True, v=True), one["Names"][0].lstrip("/"))


def _without_error(remove: Callable[[], object], name: str) -> str:
    """Empty when it is gone."""
    import docker

    try:
        remove()
    except docker.errors.NotFound:
        return ""
    except engine_errors() as error:
        return f"{name} could not be removed: {error}"
    return ""


def _containers(api: APIClient, run_id: str = "") -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = api.containers(all=True, filters={"label": _label(run_id)})
    return found


def _networks(api: APIClient, run_id: str = "") -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = api.networks(filters={"label": _label(run_id)})
    return found


def _volumes(api: APIClient, run_id: str = "") -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] | None = api.volumes(filters={"label": _label(run_id)})["Volumes"]
    return found or ()


def _label(run_id: str) -> str:
    return f"{RUN_LABEL}={run_id}" if run_id else RUN_LABEL
