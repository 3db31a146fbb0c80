"""Postgres servers: made once into a template, copied at each boot, set for throw-away speed and honest durability.

What was committed survives the death of any process of the server: the log is written to the kernel before a commit
returns (`synchronous_commit` on) and pages that a kill tore are mended from it (`full_page_writes` on). Only the
machine's own death would lose data (`fsync` off), and with the machine the stack is gone anyway.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crashcart.runtimes.addresses import LOOPBACK
from crashcart.runtimes.readiness import split
from crashcart.runtimes.spec import SpawnSpec, base_environment
from crashcart.tools import ServerAccount, Toolbox

_DEFAULTS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "off",
    "checkpoint_timeout": "15min",
    "max_wal_size": "256MB",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",
    "huge_pages": "off",
    "max_parallel_workers_per_gather": "0",
    "update_process_title": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # in files of the data folder: what a killed server leaves behind goes with it
    "dynamic_shared_memory_type": "mmap",
}
_SINCE_18: Mapping[str, str] = {"io_method": "sync"}
_FIXED: Mapping[str, str] = {"unix_socket_directories": ""}
_CONFIGURATION = "crashcart.conf"
_NEIGHBOURS = "host all all samenet trust\n"
"""Whoever is in the same network: in one of its own, that is Toxiproxy and this machine."""


@dataclass(frozen=True, slots=True)
class PostgresProgram:
    """The server programs and who runs them."""

    binaries: Path
    version: str
    """Of the server, or whatever else decides what its files look like."""
    account: ServerAccount
    clients: Path
    """Where psql is, on this machine."""
    placed: Callable[[SpawnSpec], SpawnSpec] = lambda spec: spec
    """The process where it belongs."""
    environment: Callable[[str, str, str], dict[str, str]] = base_environment
    """What it gets: of a run, a name, a kind."""

    @classmethod
    def of(cls, toolbox: Toolbox, account: ServerAccount) -> PostgresProgram:
        """The one that was found."""
        path = toolbox.postgres.path
        return cls(path, toolbox.postgres.version, account, path)

    def argv(self, data_dir: Path) -> tuple[str, ...]:
        """How the server is started on its folder."""
        return (str(self.binaries / "postgres"), "-D", str(data_dir))

    def own(self, folder: Path) -> None:
        """Give a folder with all in it to the account that runs the server."""
        if self.account.uid is None or self.account.gid is None:
            return
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, self.account.uid, self.account.gid)


def server_settings(settings: Mapping[str, object]) -> dict[str, str]:
    """postgresql.conf of any version: the design's own settings have the last word over ours."""
    return {**_DEFAULTS, **{key: _word(value) for key, value in settings.items()}}


def configure(data_dir: Path, program: PostgresProgram, address: str, settings: Mapping[str, object]) -> None:
    """Write the instance's own settings; the design's have the last word, but for where the server listens (host:port).

    They are in a file and not in the command, so that ALTER SYSTEM can change them while a fault lasts.
    """
    host, port = split(address)
    newer = _SINCE_18 if int((data_dir / "PG_VERSION").read_text(encoding="ascii").split(".")[0]) >= 18 else {}
    chosen = {
        **_DEFAULTS,
        **newer,
        **{key: _value(value) for key, value in settings.items()},
        **_FIXED,
        "listen_addresses": host,
        "port": str(port),
    }
    text = "".join(f"{key} = '{value}'\n" for key, value in chosen.items())
    (data_dir / _CONFIGURATION).write_text(text, encoding="utf-8")
    _append(data_dir / "postgresql.conf", f"include '{_CONFIGURATION}'\n")
    if host != LOOPBACK:
        _append(data_dir / "pg_hba.conf", _NEIGHBOURS)
    program.own(data_dir / _CONFIGURATION)


def _append(path: Path, line: str) -> None:
    if line not in path.read_text(encoding="utf-8"):
        with path.open("a", encoding="utf-8") as file:
            file.write(line)


def _value(value: object) -> str:
    return _word(value).replace("'", "''")


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
