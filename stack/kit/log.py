"""Logs: one JSON object a line on standard output, bound to the reference of the present work."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

from stack.kit import context
from stack.kit.settings import env_str

_SERVICE = env_str("SERVICE_INSTANCE", env_str("SERVICE_NAME", "service"))


def log(event: str, *, level: str = "info", reference: str | None = None, **fields: Any) -> None:
    """Write one line: ts, level, service, reference, event and the fields given."""
    work = context.current.get()
    line = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "service": _SERVICE,
        "reference": reference if reference is not None else (work.reference if work is not None else None),
        "event": event,
        **fields,
    }
    # One write for each line, so that lines of several threads or processes never mix.
    sys.stdout.buffer.write(orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def log_exception(event: str, error: BaseException, **fields: Any) -> None:
    """Write an unexpected error with its traceback."""
    log(event, level="error", error=repr(error), traceback="".join(traceback.format_exception(error)), **fields)
