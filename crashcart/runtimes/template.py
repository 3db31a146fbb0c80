"""Making a database's template: once per content, in the cache, whole or not at all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT

from filelock import FileLock, Timeout

from crashcart.model.design import Init
from crashcart.model.errors import BadFile, BootError
from crashcart.runtimes.layout import DATABASE, link_address
from crashcart.runtimes.postgres import PostgresProgram, configure
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.spec import SpawnSpec, Started, base_environment
from crashcart.runtimes.starting import Starter, last_lines
from crashcart.runtimes.template_key import template_key

SUPERUSER = "postgres"
READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0
KEPT = 12
"""Templates beyond so many go, the one not used for longest first."""
_NO_ROLE, _NO_DATABASE = "28000", "3D000"
"""SQLSTATE of a log-in that names one which does not exist."""
_SQL_ERROR = re.compile(r"psql:(?P<file>.*):(?P<line>\d+): (?:ERROR|FATAL):\s+(?P<text>.*)")


@dataclass(frozen=True, slots=True)
class TemplateJob:
    """One database service's template, and all that making it takes."""

    service: str
    init: Init
    project_dir: Path
    work_dir: Path
    """In the stack's throw-away folder: the server's account can reach it."""
    log: Path
    run_id: str
    address: str
    """host:port at which its server listens meanwhile."""
    environment: Mapping[str, str]
    """For the commands."""


class Templates:
    """The templates of this user, below `folder`."""

    def __init__(self, folder: Path, program: PostgresProgram, starter: Starter) -> None:
        self._folder = folder
        self._program = program
        self._starter = starter

    def key(self, init: Init, project_dir: Path) -> str:
        """What the template is called. BadFile where an SQL file is missing."""
        account = self._program.account
        return template_key(init, project_dir, made_by=(self._program.version, str(account.uid)))

    def has(self, key: str) -> bool:
        """Whether it was made already."""
        return (self._folder / key / "PG_VERSION").is_file()

    def copy(self, job: TemplateJob, key: str, data_dir: Path) -> None:
        """Make the template where it is missing, and copy it to `data_dir` (which must not exist, or be empty).

        Raises:
            BootError: initdb, the server or a command failed. BadFile: an SQL file is wrong.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked(key):
            template = self._folder / key
            if not self.has(key):
                made = self._make(job)
                self._copy(made, partial := self._folder / f".partial-{job.run_id}-{key}")
                shutil.rmtree(template, ignore_errors=True)
                partial.replace(template)
                shutil.rmtree(made, ignore_errors=True)
            template.touch()
            self._copy(template, data_dir)

    def prune(self) -> None:
        """Remove what was not used for longest; a template in use just now is locked and stays."""
        made = sorted((path for path in self._folder.glob("*/PG_VERSION")), key=lambda p: p.parent.stat().st_mtime)
        for version_file in made[:-KEPT]:
            with suppress(Timeout), self._lock(version_file.parent.name).acquire(timeout=0):
                shutil.rmtree(version_file.parent, ignore_errors=True)

    def _lock(self, key: str) -> FileLock:
        return FileLock(self._folder / f"{key}.lock")

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        lock = self._lock(key)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                self._starter.pause()
        try:
            yield
        finally:
            lock.release()

    def _copy(self, source: Path, destination: Path) -> None:
        # cp keeps owners and shares blocks where the file system can
        inside = f"{source}/." if destination.exists() else source
        done = subprocess.run(["cp", "-a", inside, destination], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BootError(destination.name, f"the database's template can not be copied: {done.stderr.strip()}")

    def _make(self, job: TemplateJob) -> Path:
        job.work_dir.mkdir(mode=0o711)
        data_dir = job.work_dir / "data"
        data_dir.mkdir(mode=0o700)
        self._program.own(data_dir)
        self._initdb(job, data_dir)
        configure(data_dir, self._program, job.address, {})
        spec = self._server_spec(job, data_dir)
        server = self._starter.spawn(spec)
        try:
            self._wait_serving(job, server, spec.log)
            self._fill(job)
        finally:
            ended = end_server(server)
        if not ended:
            what = f"the server that makes its template did not end within {END_WITHIN_S:g} s"
            raise BootError(job.service, what, last_lines(spec.log))
        return data_dir

    def _initdb(self, job: TemplateJob, data_dir: Path) -> None:
        words = (
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
            "--wal-segsize=4",
        )
        argv = (str(self._program.binaries / "initdb"), "-D", str(data_dir), *words)
        self._starter.run(self._as_server(job, argv, "initdb"), what="initdb")

    def _server_spec(self, job: TemplateJob, data_dir: Path) -> SpawnSpec:
        return self._as_server(job, self._program.argv(data_dir), "server")

    def _as_server(self, job: TemplateJob, argv: tuple[str, ...], what: str) -> SpawnSpec:
        account = self._program.account
        env = self._program.environment(job.run_id, job.service, "postgres")
        name = f"{job.service}-{what}"
        # of its own: the log of what runs in a container is written as a whole
        log = job.log.with_stem(f"{job.log.stem}-{what}")
        return self._program.placed(SpawnSpec(name, argv, env, str(job.work_dir), str(log), account.uid, account.gid))

    def _fill(self, job: TemplateJob) -> None:
        address = job.address
        admin = f"postgresql://{SUPERUSER}@{address}/postgres"
        self._psql(job, admin, "-c", f"CREATE ROLE {DATABASE} LOGIN")
        self._psql(job, admin, "-c", f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")
        target = link_address("postgres", address)
        for file in job.init.sql:
            self._psql(job, target, "-1", "-f", file)
        for command in job.init.commands:
            argv = tuple(sys.executable if word == "{python}" else word for word in command)
            env = {**base_environment(job.run_id, job.service, "process"), **job.environment}
            spec = SpawnSpec(job.service, (*argv, target), env, str(job.project_dir), str(job.log))
            self._starter.run(spec, what=f"the init command {' '.join(command)}")
        self._psql(job, f"postgresql://{SUPERUSER}@{address}/{DATABASE}", "-c", "VACUUM (ANALYZE, FREEZE)")

    def _wait_serving(self, job: TemplateJob, server: Started, log: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        # role and database are still to be made: to be told so is to be served
        while not ask("postgres", job.address).startswith((_NO_ROLE, _NO_DATABASE)):
            if server.poll() is not None or time.monotonic() > deadline:
                server.flush_log()
                raise BootError(job.service, "its server did not start to make the template", last_lines(log))
            self._starter.pause()

    def _psql(self, job: TemplateJob, address: str, *words: str) -> None:
        argv = (str(self._program.clients / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", address, *words)
        env = {**base_environment(job.run_id, job.service, "process"), "PGOPTIONS": "-c client_min_messages=warning"}
        spec = SpawnSpec(job.service, argv, env, str(job.project_dir), str(job.log))
        try:
            self._starter.run(spec, what=f"psql {' '.join(words)}")
        except BootError as error:
            raise _at_its_line(error) from error


def end_server(server: Started, within_s: float = END_WITHIN_S) -> bool:
    """End it in good order: a copy of it starts without recovery. False where it took too long and was killed."""
    server.send_signal(SIGINT)  # a fast shutdown
    try:
        server.wait(within_s)
    except subprocess.TimeoutExpired:
        server.kill()
        with suppress(subprocess.TimeoutExpired):
            server.wait(within_s)
        return False
    return True


def _at_its_line(error: BootError) -> BootError | BadFile:
    for line in error.last_lines:
        found = _SQL_ERROR.match(line)
        if found:
            return BadFile(found["text"], file=found["file"], line=int(found["line"]), remedy="correct the SQL")
    return error
