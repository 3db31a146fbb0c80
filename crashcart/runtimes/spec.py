"""How one process is started, as data in a private file: enough to start it again, by whoever has to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from crashcart.model.errors import BootError
from crashcart.model.topology import ProcessRef
from crashcart.processes import RUN_VARIABLE, process_ref
from crashcart.runtimes.postgres_files import forget_shared_memory

INSTANCE_VARIABLE = "CRASHCART_INSTANCE"
KIND_VARIABLE = "CRASHCART_KIND"
"""In the environment of each process: which instance it belongs to, and how that wants to be stopped."""

_INHERITED = (
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)


class ContainerSpec(msgspec.Struct, frozen=True):
    """The container that a process is the first one of."""

    name: str
    image: str
    networks: dict[str, str]
    """Network → its address in there, for its whole life; none: it shares this machine's network."""
    folders: tuple[str, ...] = ()
    """Folders of this machine that it sees at the same place, and may write to."""
    files: dict[str, str] = {}
    """File of this machine → where it is seen, read-only."""
    own_entrypoint: bool = False
    """`argv` are arguments to the image's own entry point; else the program itself."""


class SpawnSpec(msgspec.Struct, frozen=True):
    """One process: what is run, with which environment (and nothing besides), where, as whom, with which log."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    """Of Postgres its data folder."""
    log: str
    uid: int | None = None
    gid: int | None = None
    """None: as ourselves."""
    container: ContainerSpec | None = None
    """None: a process of this machine as any other. In one, `cwd` is the image's own."""


class Started(Protocol):
    """A process that was started: a child of ours, or the first process of a container."""

    @property
    def pid(self) -> int:
        """On this machine; 0 where it ended before anybody could see it."""

    returncode: int | None
    """As `subprocess.Popen`'s: None until it was found to have ended, −n for signal n."""

    @property
    def removed(self) -> bool:
        """Whether it ended because its container was removed from the engine; known with its exit status."""

    def has_ended(self) -> bool:
        """Whether it has, without taking notice: what it used can still be read where that is possible at all."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended. subprocess.TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Nothing where it has ended."""

    def kill(self) -> None:
        """SIGKILL."""

    def flush_log(self) -> None:
        """All that it has printed so far is in its log when this returns."""


class Child(subprocess.Popen[bytes]):
    """Implements `Started`."""

    removed: ClassVar[bool] = False

    def has_ended(self) -> bool:
        """As the kernel says, before anybody has waited for it."""
        if self.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def flush_log(self) -> None:
        """It writes there itself."""


def base_environment(run_id: str, name: str, kind: str) -> dict[str, str]:
    """What every process gets. The user's own variables are not in it: a design runs the same for everybody."""
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    inherited |= {key: value for key, value in os.environ.items() if key.startswith("LC_")}
    return {**inherited, **identity(run_id, name, kind)}


def identity(run_id: str, name: str, kind: str) -> dict[str, str]:
    """By which a process is found again, whoever its parent is by then."""
    return {RUN_VARIABLE: run_id, INSTANCE_VARIABLE: name, KIND_VARIABLE: kind}


def python_environment(cache: Path) -> Mapping[str, str]:
    """For programs in Python: compiled once per user, and a killed one has written all that it printed."""
    return {"PYTHONPYCACHEPREFIX": str(cache / "pycache"), "PYTHONUNBUFFERED": "1"}


def write_spec(path: Path, spec: SpawnSpec) -> None:
    """Write it where only we can read it: the environment holds tokens."""
    scratch = path.with_suffix(".new")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(spec))
    scratch.replace(path)


def read_spec(path: Path) -> SpawnSpec:
    """BootError where there is none: then its stack is gone."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SpawnSpec)
    except (OSError, msgspec.DecodeError) as problem:
        raise BootError(path.stem, f"can not be started again: {problem}", remedy="the stack is gone") from problem


def start(spec: SpawnSpec) -> Started:
    """Start it: in its container where it has one, else as `spawn`. BootError where it can not be run."""
    if spec.container is not None:
        from crashcart.runtimes.containers import start_container

        return start_container(spec, spec.container)
    return spawn(spec)


def spawn(spec: SpawnSpec) -> Child:
    """Start it in a session and process group of its own, output appended to its log, nothing on its input.

    Raises:
        BootError: the program can not be run.
    """
    with Path(spec.log).open("ab") as log:
        try:
            return Child(
                spec.argv,
                env=spec.env,
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=spec.uid,
                group=spec.gid,
                extra_groups=None if spec.uid is None else [],
            )
        except OSError as problem:
            what = f"{spec.argv[0]} can not be run: {problem.strerror or problem}"
            raise BootError(spec.name, what, remedy="correct its command in the design") from problem


def spawn_again(spec: SpawnSpec) -> Started:
    """Start once more what is known to be dead: what its last life left in the way is removed first."""
    if spec.env.get(KIND_VARIABLE) == "postgres":
        forget_shared_memory(Path(spec.cwd))
    return start(spec)


def spawn_from_spec(spec_file: str | Path) -> ProcessRef:
    """Start again what a spec file says, known to be dead. The caller need not be the one who started it before."""
    return reference(spawn_again(read_spec(Path(spec_file))).pid)


def reference(pid: int) -> ProcessRef:
    """A child of ours that was not reaped yet; one that is dead already is told by a start time of 0."""
    return process_ref(pid) or ProcessRef(pid, 0, "")
