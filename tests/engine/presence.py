"""Which tests need a Docker engine, and what is said of them where none answers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache

import pytest

from crashcart.images import connect
from crashcart.model.errors import UsageError

REQUIRED = "CRASHCART_REQUIRE_DOCKER"
"""Set by the pipeline: there a missing engine is a failure."""
NO_ENGINE = "no Docker engine can be used here"


def leave_out_without_engine(item: pytest.Item) -> None:
    """Skip a test that is marked `docker` where there is no engine to use; fail it where there must be one."""
    reason = _why_not() if item.get_closest_marker("docker") else None
    if reason is None:
        return
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and {NO_ENGINE}: {reason}", pytrace=False)
    pytest.skip(f"{NO_ENGINE}: {reason}")


def told(skipped: Iterable[pytest.TestReport]) -> str | None:
    """The line for the summary: how many were left out for that. None where none was."""
    count = sum(1 for report in skipped if NO_ENGINE in str(report.longrepr))
    if not count:
        return None
    return f"LEFT OUT: {count} of the tests, for {NO_ENGINE}; docs/61-images.md says how to have one"


@cache
def _why_not() -> str | None:
    """Asked once: a test may break what it starts, but not whether there is an engine."""
    try:
        connect().close()
    except UsageError as problem:
        return str(problem).replace("\n ", ";")
    return None
