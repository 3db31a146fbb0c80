"""Settings of a service: read from the environment, each with its default in code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class SettingError(Exception):
    """A setting is missing or malformed; the message says which, what was found and what would be right."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is: `checkout`, `checkout[0]`, where it listens, and its own throw-away folder."""

    name: str
    instance: str
    host: str
    port: int
    data_dir: Path


def env_str(name: str, default: str | None = None) -> str:
    """The text of a setting; without a default it must be set."""
    value = os.environ.get(name)
    if value is not None and value != "":
        return value
    if default is None:
        raise SettingError(f"environment variable {name} is not set and has no default")
    return default


def env_int(name: str, default: int | None = None) -> int:
    """A whole number."""
    text = env_str(name, None if default is None else str(default))
    try:
        return int(text)
    except ValueError as error:
        raise SettingError(f"{name}={text!r} is not a whole number, e.g. {name}=20") from error


def env_float(name: str, default: float | None = None) -> float:
    """A number."""
    text = env_str(name, None if default is None else str(default))
    try:
        return float(text)
    except ValueError as error:
        raise SettingError(f"{name}={text!r} is not a number, e.g. {name}=0.5") from error


def env_bool(name: str, default: bool | None = None) -> bool:
    """A switch: 1/true/yes/on or 0/false/no/off."""
    text = env_str(name, None if default is None else str(int(default))).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SettingError(f"{name}={text!r} is neither true nor false, e.g. {name}=true")


def link_addresses(dependency: str) -> tuple[str, ...]:
    """Addresses of a dependency, one per replica: `LINK_ORDERS_DB` for `orders-db`."""
    name = "LINK_" + dependency.upper().replace("-", "_")
    addresses = tuple(part.strip() for part in env_str(name).split(",") if part.strip())
    if not addresses:
        raise SettingError(f"{name} holds no address, e.g. {name}=http://127.0.0.1:8001")
    return addresses


def identity() -> Identity:
    """Who this process is, from SERVICE_NAME, SERVICE_INSTANCE, LISTEN_ADDRESS and DATA_DIR."""
    name = env_str("SERVICE_NAME", "service")
    listen = env_str("LISTEN_ADDRESS", "127.0.0.1:0")
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise SettingError(f"LISTEN_ADDRESS={listen!r} is not host:port, e.g. 127.0.0.1:8001")
    return Identity(
        name=name,
        instance=env_str("SERVICE_INSTANCE", f"{name}[0]"),
        host=host,
        port=int(port),
        data_dir=Path(env_str("DATA_DIR", ".")),
    )
