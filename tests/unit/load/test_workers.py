from __future__ import annotations

import gevent
from gevent.event import Event

from crashcart.loadkit.workers import Workers


class Sessions:
    """Jobs that stay until they are let go, and say which greenlet served them."""

    def __init__(self) -> None:
        self.served_by: list[int] = []
        self.cut_short: list[str] = []
        self.let_go = Event()
        self.workers: Workers[str] = Workers(self._serve)

    def _serve(self, job: str) -> None:
        self.served_by.append(id(gevent.getcurrent()))
        try:
            self.let_go.wait()
        except gevent.GreenletExit:
            self.cut_short.append(job)


def test_a_greenlet_that_is_done_serves_the_next_job() -> None:
    sessions = Sessions()
    sessions.let_go.set()
    for job in ("first", "second", "third"):
        sessions.workers.begin(job)
        sessions.workers.join(5.0)
    assert len(sessions.served_by) == 3
    assert len(set(sessions.served_by)) == 1


def test_nobody_waits_for_one_who_is_busy() -> None:
    sessions = Sessions()
    for job in ("first", "second", "third"):
        sessions.workers.begin(job)
    gevent.sleep(0)
    assert len(set(sessions.served_by)) == 3
    sessions.let_go.set()
    sessions.workers.join(5.0)


def test_joining_gives_up_when_its_time_is_over() -> None:
    sessions = Sessions()
    sessions.workers.begin("stays")
    sessions.workers.join(0.01)
    assert len(sessions.served_by) == 1
    assert sessions.cut_short == []
    sessions.workers.end(1.0)


def test_the_end_cuts_short_those_who_are_served() -> None:
    sessions = Sessions()
    sessions.let_go.set()
    sessions.workers.begin("gone before")
    sessions.workers.join(5.0)
    sessions.let_go.clear()
    sessions.workers.begin("under way")
    gevent.sleep(0)
    sessions.workers.begin("in a greenlet of its own")
    gevent.sleep(0)
    sessions.workers.end(1.0)
    assert sorted(sessions.cut_short) == ["in a greenlet of its own", "under way"]


def test_the_end_reaches_a_job_whose_greenlet_has_not_looked_at_it_yet() -> None:
    sessions = Sessions()
    sessions.let_go.set()
    sessions.workers.begin("gone before")
    sessions.workers.join(5.0)
    sessions.let_go.clear()
    sessions.workers.begin("only woken")
    sessions.workers.end(1.0)
    assert sessions.cut_short == ["only woken"]


def test_the_end_may_come_twice_and_with_nobody_there() -> None:
    sessions = Sessions()
    sessions.let_go.set()
    sessions.workers.begin("done")
    sessions.workers.join(5.0)
    sessions.workers.end(1.0)
    sessions.workers.end(1.0)
    assert sessions.cut_short == []
