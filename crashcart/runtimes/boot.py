"""Booting a design: one thread for each instance, each waiting for no more than it needs."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from crashcart.model.design import Design
from crashcart.model.errors import BootError, ControlPlaneError
from crashcart.model.topology import Instance, Topology
from crashcart.prometheus import Target, scrape_config
from crashcart.runtimes.children import Children
from crashcart.runtimes.disks import lacks_disks, mount_disk
from crashcart.runtimes.ending import end_stack
from crashcart.runtimes.grounds import Ground
from crashcart.runtimes.layout import Layout, Place, service_environment
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.postgres import configure
from crashcart.runtimes.servers import prometheus_argv, valkey_argv
from crashcart.runtimes.spec import SpawnSpec, Started, python_environment, reference, write_spec
from crashcart.runtimes.starting import LOOK_S, Cancelled, Starter, all_at_once, last_lines
from crashcart.runtimes.state_dir import make_state_dir
from crashcart.runtimes.template import TemplateJob, Templates
from crashcart.runtimes.timeline import Timeline, drawing
from crashcart.runtimes.topology_file import save_topology
from crashcart.runtimes.toxiproxy_server import populate, toxiproxy_argv
from crashcart.tools import ServerAccount

TIMELINE_VARIABLE = "CRASHCART_BOOT_TIMELINE"
"""Set to anything, it shows what took how long of each boot."""
_REAP_S = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be booted, with what, and where its logs go."""

    design: Design
    run_id: str
    project_dir: Path
    log_dir: Path
    extra_scrapes: Mapping[str, str]
    """Job → host:port."""
    account: ServerAccount
    cache: Path
    ready_within_s: float


def boot(
    order: Order, ground: Ground, progress: Callable[[str], None], unwanted: Callable[[], bool] = lambda: False
) -> LocalStack:
    """Boot everything, as `Boot.run` says; `progress` is told what took how long, where the environment asks for it."""
    stack = Boot(order, ground, progress, unwanted).run()
    if os.environ.get(TIMELINE_VARIABLE):
        for line in drawing(stack.timeline):
            progress(line)
    return stack


class Boot:
    """One boot; use it once."""

    def __init__(
        self, order: Order, ground: Ground, progress: Callable[[str], None], unwanted: Callable[[], bool]
    ) -> None:
        self._unwanted = unwanted
        self._order = order
        self._ground = ground
        self._progress = progress
        self._timeline = Timeline()
        self._starter = Starter()
        self._children = Children()
        self._news: SimpleQueue[str] = SimpleQueue()
        self._admin_token = secrets.token_urlsafe(24)
        self._programs = ground.programs
        self._templates = Templates(order.cache / "databases", self._programs.postgres, self._starter)
        self._spawned: dict[str, threading.Event] = {}
        self._ready: dict[str, threading.Event] = {}
        self._noting = threading.Lock()

    def run(self) -> LocalStack:
        """Boot everything.

        Raises:
            UsageError: a port that the design fixes is taken, an SQL file is wrong; nothing runs then.
            BootError: names what did not come up, with its last lines; nothing runs then.
            Cancelled: `unwanted` has become true; nothing runs then.
        """
        try:
            with self._timeline.mark("ports and folders"):
                self._prepare()
        except BaseException:
            self._ground.release()
            raise
        try:
            with self._ground.getting_ready(self._topology()):
                self._start_all()
            topology = self._topology()
            save_topology(topology)
        except BaseException:
            self._undo()
            raise
        return LocalStack(
            topology,
            children=self._children,
            release=self._ground.release,
            boot_s=self._timeline.elapsed_s(),
            timeline=self._timeline.marks(),
            log_dir=self._order.log_dir,
            cache=self._order.cache,
        )

    def _prepare(self) -> None:
        order = self._order
        self._layout: Layout = self._ground.lay_out(order.design)
        # a missing SQL file is found before anything is started
        services = order.design.services
        self._keys = {
            name: self._templates.key(service.init, order.project_dir)
            for name, service in services.items()
            if service.kind == "postgres"
        }
        order.log_dir.mkdir(parents=True, exist_ok=True)
        self._state_dir = make_state_dir(order.run_id, order.account.name, order.account.uid)
        (self._state_dir / "data").mkdir(mode=0o711)
        (self._state_dir / "specs").mkdir(mode=0o700)
        save_topology(self._topology())

    def _start_all(self) -> None:
        places = self._layout.places
        self._spawned = {place.name: threading.Event() for place in places}
        self._ready = {place.name: threading.Event() for place in places}
        try:
            all_at_once([partial(self._bring_up, place) for place in places], self._starter, self._look)
        finally:
            self._tell()
        self._templates.prune()

    def _look(self) -> None:
        self._tell()
        if self._unwanted():
            raise Cancelled

    def _tell(self) -> None:
        while not self._news.empty():
            self._progress(self._news.get())

    def _undo(self) -> None:
        try:
            self._starter.cancel()
            end_stack(self._order.run_id, self._state_dir)
            self._children.reap_all(_REAP_S)
        finally:
            self._ground.release()

    def _bring_up(self, place: Place) -> None:
        data_dir = self._data_dir(place)
        with self._timeline.mark(f"{place.name}: files"):
            spec = self._ground.placed(self._spec(place, data_dir))
            write_spec(self._spec_file(place), spec)
        needs = self._needs(place)
        if needs:  # what others wait for goes before those who wait
            self._await(self._spawned, needs)
        with self._timeline.mark(f"{place.name}: place"):
            self._starter.check()
            self._ground.make(spec)
        self._await(self._ready, needs)
        with self._timeline.mark(f"{place.name}: ready"):
            self._note(place.name, self._starter.spawn(spec))
            self._spawned[place.name].set()
            self._starter.wait_ready(
                lambda: self._children.how_it_ended(place.name),
                name=place.name,
                kind=place.kind,
                address=place.address,
                log=spec.log,
                within_s=self._order.ready_within_s,
                flush_log=lambda: self._children.flush_log(place.name),
            )
        if place.kind == "toxiproxy":
            with self._timeline.mark("toxiproxy: proxies"):
                self._populate(place)
        self._ready[place.name].set()

    def _note(self, name: str, process: Started) -> None:
        """Written down at once: one that has overwritten or lost its environment is found again by this alone."""
        with self._noting:
            self._children.add(name, process)
            save_topology(self._topology())

    def _await(self, events: Mapping[str, threading.Event], names: tuple[str, ...]) -> None:
        for name in names:
            while not events[name].wait(LOOK_S):
                self._starter.check()

    def _populate(self, place: Place) -> None:
        try:
            populate(f"http://{place.address}", self._layout.proxies)
        except ControlPlaneError as error:
            what = f"its proxies could not be made: {error}"
            raise BootError(place.name, what, last_lines(self._log(place.name))) from error

    def _needs(self, place: Place) -> tuple[str, ...]:
        """Servers and proxies come first: a service looks for them as soon as it starts. None waits for a service."""
        linked = self._order.design.services[place.service].links if place.kind == "process" else ()
        if not linked:
            return ()
        servers = [p.name for p in self._layout.places if p.service in linked and p.kind != "process"]
        return ("toxiproxy", *servers)

    def _spec(self, place: Place, data_dir: Path) -> SpawnSpec:
        programs, settings = self._programs, {}
        if place.service in self._order.design.services:
            settings = self._order.design.services[place.service].settings
        match place.kind:
            case "postgres":
                return self._postgres_spec(place, data_dir, settings)
            case "valkey":
                argv = valkey_argv(programs.valkey, place.address, data_dir, settings)
            case "toxiproxy":
                argv = toxiproxy_argv(programs.toxiproxy, place.address)
            case "prometheus":
                argv = prometheus_argv(programs.prometheus, place.address, data_dir, scrape_config(self._targets()))
            case _:
                return self._service_spec(place, data_dir)
        env = {**self._ground.environment(self._order.run_id, place.name, place.kind), "LOG_LEVEL": "error"}
        return SpawnSpec(place.name, argv, env, str(data_dir), self._log(place.name))

    def _service_spec(self, place: Place, data_dir: Path) -> SpawnSpec:
        order = self._order
        command = order.design.services[place.service].command
        argv = tuple(self._programs.python if word == "{python}" else word for word in command)
        env = {
            **self._ground.environment(order.run_id, place.name, place.kind),
            **self._ground.python_environment(),
            **service_environment(order.design, place, self._layout, data_dir, self._admin_token),
        }
        return SpawnSpec(place.name, argv, env, str(order.project_dir), self._log(place.name))

    def _postgres_spec(self, place: Place, data_dir: Path, settings: Mapping[str, object]) -> SpawnSpec:
        order, key = self._order, self._keys[place.service]
        if not self._disk_mib(place):
            data_dir.rmdir()
        if not self._templates.has(key):
            self._news.put(f"{place.service}: making the database's template (once)")
        self._templates.copy(self._job(place), key, data_dir)
        program = self._programs.postgres
        configure(data_dir, program, place.address, settings)
        env = self._ground.environment(order.run_id, place.name, place.kind)
        argv = program.argv(data_dir)
        account = order.account
        return SpawnSpec(place.name, argv, env, str(data_dir), self._log(place.name), account.uid, account.gid)

    def _job(self, place: Place) -> TemplateJob:
        order = self._order
        init = order.design.services[place.service].init
        return TemplateJob(
            service=place.service,
            init=init,
            project_dir=order.project_dir,
            work_dir=self._state_dir / f"template-{place.name}",
            log=order.log_dir / f"{place.service}-template.log",
            run_id=order.run_id,
            address=self._ground.template_address(place.service),
            environment={**python_environment(order.cache), **order.design.services[place.service].env},
        )

    def _targets(self) -> list[Target]:
        scraped = [p for p in self._layout.places if p.kind in ("process", "toxiproxy")]
        own = [Target(place.service, place.name, place.address) for place in scraped]
        return own + [Target(job, job, address) for job, address in self._order.extra_scrapes.items()]

    def _data_dir(self, place: Place) -> Path:
        folder = self._state_dir / "data" / place.name
        folder.mkdir(mode=0o700)
        if size_mib := self._disk_mib(place):
            mount_disk(folder, size_mib)
        self._ground.own(folder)
        return folder

    def _disk_mib(self, place: Place) -> int:
        """The size of its own disk; 0 where it has none, or can have none here: `plan` refuses what needs one."""
        service = self._order.design.services.get(place.service)
        return 0 if service is None or lacks_disks() else service.disk_mib

    def _log(self, name: str) -> str:
        return str(self._order.log_dir / f"{name}.log")

    def _spec_file(self, place: Place) -> Path:
        return self._state_dir / "specs" / f"{place.name}.json"

    def _topology(self) -> Topology:
        order, layout = self._order, self._layout
        return Topology(
            run_id=order.run_id,
            state_dir=str(self._state_dir),
            project_dir=str(order.project_dir),
            instances=tuple(self._instance(place) for place in layout.places),
            proxies=layout.proxies,
            toxiproxy_api=f"http://{layout.place('toxiproxy').address}",
            prometheus_url=f"http://{layout.place('prometheus').address}",
            runtime=self._ground.runtime,
        )

    def _instance(self, place: Place) -> Instance:
        pid = self._children.pid(place.name)
        return Instance(
            name=place.name,
            service=place.service,
            kind=place.kind,
            address=place.address,
            process=None if pid is None else reference(pid),
            log=self._log(place.name),
            data_dir=str(self._state_dir / "data" / place.name),
            spec_file=str(self._spec_file(place)),
        )
