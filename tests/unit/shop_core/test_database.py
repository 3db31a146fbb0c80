"""What a statement's end says, where asyncpg says it in a way of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import cast

import pytest

from stack.kit.database import Database, DatabaseOutcomeUnknown
from stack.kit.metrics import LinkMetrics
from stack.kit.sessions import Session, SessionPool


@dataclass
class EndedSession:
    """A session that the server has ended, or not."""

    ended: bool
    terminated: bool = False

    def is_closed(self) -> bool:
        return self.ended

    def terminate(self) -> None:
        self.terminated = True


async def _trip(_session: Session, _sql: str, _args: tuple[object, ...]) -> None:
    raise AttributeError("'NoneType' object has no attribute '_get_timeout'")


async def _ask(session: EndedSession) -> None:
    database = Database(LinkMetrics("orders-db"), cast("SessionPool", None))
    until = monotonic() + 1.0
    await database.on(cast("Session", session), _trip, "SELECT 1", (), until, database._mapped)


def test_a_session_that_ended_within_a_statement_leaves_its_outcome_unknown() -> None:
    session = EndedSession(ended=True)
    with pytest.raises(DatabaseOutcomeUnknown, match="the session ended within a statement"):
        asyncio.run(_ask(session))
    assert session.terminated


def test_a_defect_of_ours_is_not_taken_for_a_lost_connection() -> None:
    session = EndedSession(ended=False)
    with pytest.raises(AttributeError):
        asyncio.run(_ask(session))
    assert session.terminated
