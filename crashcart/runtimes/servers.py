"""How servers that are not Postgres are started: their configuration and their command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crashcart.runtimes.addresses import LOOPBACK
from crashcart.runtimes.readiness import split

_VALKEY_DEFAULTS: Mapping[str, str] = {"save": "", "appendonly": "no", "loglevel": "warning", "daemonize": "no"}


def valkey_argv(program: Path, address: str, data_dir: Path, settings: Mapping[str, object]) -> tuple[str, ...]:
    """The design's settings have the last word, but for where it listens.

    No configuration file: Valkey takes its path for a pattern, in which `cart-store[0]` matches nothing.
    """
    host, port = split(address)
    asked = {name: _word(value) for name, value in settings.items()}
    # in a network of its own there is nobody to be protected from but Toxiproxy and this machine
    guard = {} if host == LOOPBACK else {"protected-mode": "no"}
    chosen = {**_VALKEY_DEFAULTS, **guard, **asked, "bind": host, "port": str(port), "dir": str(data_dir)}
    return (str(program), *(word for name, value in chosen.items() for word in (f"--{name}", value)))


def prometheus_argv(program: Path, address: str, data_dir: Path, configuration: str) -> tuple[str, ...]:
    """Write `prometheus.yml` into the data folder. The same words for 2.42 and 3.x."""
    path = data_dir / "prometheus.yml"
    path.write_text(configuration, encoding="utf-8")
    return (
        str(program),
        f"--config.file={path}",
        f"--storage.tsdb.path={data_dir / 'tsdb'}",
        "--storage.tsdb.retention.time=1d",
        "--storage.tsdb.wal-segment-size=10MB",
        f"--web.listen-address={address}",
        "--query.timeout=30s",
        "--log.level=warn",
    )


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
