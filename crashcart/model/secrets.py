"""What is a secret by its name or its form, and a plan without them: a recording is handed on, a secret is not.

A name or a form is all that there is to go by. A password that calls itself `greeting` is recorded like any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from crashcart.model.design import Service
from crashcart.model.plan import Plan

HIDDEN = "***"
"""Stands where a secret was."""

_NAMES = re.compile(
    r"(?:.*_)?(?:pass(?:word|wd|phrase)|secrets?|credentials?|api_?key|access_?key|private_?key|secret_?key"
    r"|(?:access|admin|auth|bearer|refresh|session)_?token)|token|authorization|requirepass|masterauth"
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IN_ADDRESS = re.compile(r"(?<=://)([^/?#@\s:]*):([^/?#@\s]+)@")


def is_secret_name(name: str) -> bool:
    """`password`, `API_KEY`, `dbPassword`, `Authorization`; not `idempotency_token`, nor `keys`."""
    plain = _WORDS.sub("_", name).lower().replace("-", "_").replace(".", "_")
    return _NAMES.fullmatch(plain) is not None


def has_password(text: str) -> bool:
    """Whether an address in it has a password: `postgresql://shop:hunter2@host/shop`."""
    return _IN_ADDRESS.search(text) is not None


def without_password(text: str) -> str:
    """`postgresql://shop:***@host/shop`."""
    return _IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)


def secrets_in(thing: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where, in plain data, a text stands that is a secret. A place for one (`{token}`) is none."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            if is_secret_name(str(key)) and isinstance(value, str) and value and not _is_place(value):
                yield (*path, key)
            else:
                yield from secrets_in(value, (*path, key))
    elif isinstance(thing, list):
        for index, item in enumerate(thing):
            yield from secrets_in(item, (*path, index))
    elif isinstance(thing, str) and has_password(thing):
        yield path


def as_recorded(plan: Plan) -> Plan:
    """The plan as it is written down: what a design tells its services in secret is left out."""
    services = {name: _without_secrets(service) for name, service in plan.design.services.items()}
    return msgspec.structs.replace(plan, design=msgspec.structs.replace(plan.design, services=services))


def _without_secrets(service: Service) -> Service:
    env = {name: HIDDEN if is_secret_name(name) else without_password(value) for name, value in service.env.items()}
    settings = {
        name: HIDDEN if is_secret_name(name) else without_password(value) if isinstance(value, str) else value
        for name, value in service.settings.items()
    }
    command = tuple(map(without_password, service.command))
    return msgspec.structs.replace(service, env=env, settings=settings, command=command)


def _is_place(value: str) -> bool:
    return value.startswith("{") and value.endswith("}")
