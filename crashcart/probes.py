"""Evidence: each watched proxy is asked several times a second, through it and beside it, by the harness itself.

One thread, one selector, a fresh connection for each question. A latency toxic does not delay the connecting, so what
counts is the time from the question's last byte to the answer's first, or, of a whole answer, to its last one.
A probe that hangs holds up no other one.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from crashcart.model.recording import ProbeSample
from crashcart.model.topology import Topology
from crashcart.questions import EVERY_S, MOST_BYTES, Question, questions, verdict

TIMEOUT_S = 2.0
"""From the scheduled moment. Over then, it is not counted as an answer."""
LET_IN_S = 0.25
"""A connection on one machine takes a fraction of a millisecond."""
_LONGEST_WAIT_S = 0.1
_SOON_S = 0.001
"""The kernel wakes us that much too early, or too late."""
_READ_BYTES = 65_536


@dataclass(slots=True, eq=False)
class _Flight:
    """One question under way, or answered and draining."""

    question: Question
    connection: socket.socket
    due_mono_s: float
    began_mono_s: float
    sent_bytes: int = 0
    sent_mono_s: float = 0.0
    """When the question's last byte had gone; 0 until then."""
    heard: bytearray = field(default_factory=bytearray)
    told: bool = False

    @property
    def waited_s(self) -> float:
        """How long it was not let in, where that was long: a network that was cut has come back meanwhile."""
        waited_s = self.sent_mono_s - self.began_mono_s
        return waited_s if waited_s >= LET_IN_S else 0.0


class ProbeRunner:
    """Implements `ports.Probes`."""

    def __init__(
        self,
        topology: Topology,
        proxies: Sequence[str],
        sink: Callable[[ProbeSample], None],
        t0_mono: float,
        whole: Collection[str] = (),
    ) -> None:
        """`proxies` by name; those in `whole` are asked for whole answers, half as often.

        `sink` gets each sample, in the runner's own thread; `t` counts from `t0_mono`.
        """
        self._questions = tuple(questions(topology, proxies, whole))
        self._sink = sink
        self._t0 = t0_mono
        self._selector = selectors.DefaultSelector()
        self._flights: set[_Flight] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probes", daemon=True)

    def start(self) -> None:
        """Begin with the next turn."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is under way may finish (2 s at most). All samples are written when this returns."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._selector.close()

    def _run(self) -> None:
        # all proxies share a machine: what is asked at one moment would wait for each other
        spacing_s = EVERY_S / max(len(self._questions) // 2, 1)
        due = [
            _next_due(self._t0 + (index // 2) * spacing_s, question.every_s)
            for index, question in enumerate(self._questions)
        ]
        while not self._stopping.is_set() or self._flights:
            now = time.monotonic()
            for index, question in enumerate(self._questions):
                if due[index] <= now + _SOON_S and not self._stopping.is_set():
                    if now - due[index] < question.every_s:
                        self._launch(question, due[index])
                    # one that would be sent a whole turn late would tell of another moment than its own
                    due[index] = _next_due(due[index], question.every_s)
            self._listen(min(due, default=now + _LONGEST_WAIT_S))
            self._give_up_late()

    def _launch(self, question: Question, due_mono_s: float) -> None:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        flight = _Flight(question, connection, due_mono_s, time.monotonic())
        self._flights.add(flight)
        status = connection.connect_ex(question.address)
        if status in (0, errno.EINPROGRESS):
            self._selector.register(connection, selectors.EVENT_WRITE, flight)
        else:
            self._tell(flight, time.monotonic(), error=os.strerror(status))
            self._land(flight)

    def _listen(self, until_mono_s: float) -> None:
        wait_s = min(max(until_mono_s - time.monotonic(), 0.0), _LONGEST_WAIT_S)
        events = self._selector.select(wait_s)
        now = time.monotonic()
        for key, _ in events:
            flight: _Flight = key.data
            try:
                if flight.sent_mono_s == 0.0:
                    self._ask(flight)
                else:
                    self._hear(flight, now)
            except OSError as problem:
                self._tell(flight, now, error=os.strerror(problem.errno or errno.EIO))
                self._land(flight)

    def _ask(self, flight: _Flight) -> None:
        status = flight.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            raise OSError(status, os.strerror(status))
        flight.sent_bytes += flight.connection.send(flight.question.request[flight.sent_bytes :])
        if flight.sent_bytes == len(flight.question.request):
            flight.sent_mono_s = time.monotonic()
            self._selector.modify(flight.connection, selectors.EVENT_READ, flight)

    def _hear(self, flight: _Flight, now: float) -> None:
        data = flight.connection.recv(_READ_BYTES)
        if not flight.told:
            flight.heard += data
            wrong = verdict(flight.question, bytes(flight.heard), ended=not data)
            if wrong is None and len(flight.heard) > MOST_BYTES:
                wrong = f"longer than {MOST_BYTES} bytes"
            if wrong is not None:
                self._tell(flight, now, error=wrong)
        # an HTTP server closes when it has sent all: a client that leaves early is what its log complains of
        if not data or (flight.told and flight.question.protocol != "http"):
            self._land(flight)

    def _give_up_late(self) -> None:
        now = time.monotonic()
        for flight in [one for one in self._flights if now - one.due_mono_s >= TIMEOUT_S]:
            self._tell(flight, now, error="timed out")
            self._land(flight)

    def _tell(self, flight: _Flight, now: float, *, error: str) -> None:
        """The first word counts."""
        if flight.told:
            return
        flight.told = True
        since = flight.began_mono_s if error else flight.sent_mono_s
        took_ms = TIMEOUT_S * 1000 if error == "timed out" else min((now - since) * 1000, TIMEOUT_S * 1000)
        waited_s = 0.0 if error else flight.waited_s
        self._sink(
            ProbeSample(
                t=round(flight.due_mono_s + waited_s - self._t0, 4),
                proxy=flight.question.proxy,
                side=flight.question.side,
                ok=not error,
                ms=round(took_ms, 3),
                error=error,
                bytes=len(flight.heard) if flight.question.whole else 0,
            )
        )

    def _land(self, flight: _Flight) -> None:
        self._flights.discard(flight)
        if flight.connection in self._selector.get_map():
            self._selector.unregister(flight.connection)
        flight.connection.close()


def _next_due(since_mono_s: float, every_s: float) -> float:
    """The first moment of the grid that begins at `since_mono_s` which is still to come."""
    turns = math.floor((time.monotonic() - since_mono_s) / every_s) + 1
    return since_mono_s + max(turns, 1) * every_s
