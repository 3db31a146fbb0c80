"""Who looks on sees what matters; that nobody looks on disturbs nothing."""

from __future__ import annotations

import io
import os
import pty
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pytest
from rich.console import Console

from crashcart.live import NOTES_WAIT_BYTES, TABLES_WAIT_BYTES, LiveView, PlainView
from crashcart.outlet import Outlet, never_waiting
from crashcart.ports import Snapshot
from tests.unit.running.test_timeline import demo

SNAPSHOT = Snapshot(31.0, "fault", 1830.0, 1860.0, 40.0, 39.5, 12, 3.0, (), ("payments.psp-a is down",))
HELD = Snapshot(51.0, "fault", 1830.0, 1860.0, 40.0, 39.5, 12, 3.0, (), (), holding=True)


@pytest.fixture
def terminal() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """Its far end, and the near one as a stream."""
    far, near = pty.openpty()
    stream = os.fdopen(near, "w", encoding="utf-8")
    yield far, stream
    os.close(far)
    stream.close()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("view", [PlainView, LiveView])
def test_a_terminal_that_nobody_reads_holds_nobody_up(
    view: type[PlainView | LiveView], terminal: tuple[int, io.TextIOWrapper]
) -> None:
    _, near = terminal
    outlet = Outlet(near)
    console = Console(file=cast("IO[str]", outlet), force_terminal=True, width=100)
    with view(demo(), console) as looking:
        for n in range(3_000):
            looking.note(f"note {n} of a run that goes on")
            looking.show(SNAPSHOT)
    assert outlet.waiting_bytes < NOTES_WAIT_BYTES + 2 * TABLES_WAIT_BYTES, "no more is kept than can be of use"
    assert not outlet.close(0.05), "it is left, not waited for"


@pytest.mark.timeout(20)
def test_of_a_terminal_that_goes_on_the_latest_is_seen_and_how_much_was_left_out(
    terminal: tuple[int, io.TextIOWrapper],
) -> None:
    far, near = terminal
    outlet = Outlet(near)
    console = Console(file=cast("IO[str]", outlet), force_terminal=True, width=100)
    seen = bytearray()
    with LiveView(demo(), console) as looking:
        for n in range(3_000):
            looking.note(f"note {n} of a run that goes on")
        reader = threading.Thread(target=_read_until, args=(far, b"the end", seen), daemon=True)
        reader.start()
        while outlet.waiting_bytes:
            threading.Event().wait(0.01)
        looking.note("and on")
        looking.show(HELD)
    console.print("the end")
    reader.join(5.0)
    assert b"lines are left out: nobody read" in seen
    assert b"and on" in seen
    assert b"holding: press Enter to go on" in seen
    assert outlet.close(5.0)


def _read_until(descriptor: int, last: bytes, seen: bytearray) -> None:
    while last not in seen:
        seen += os.read(descriptor, 65_536)


def test_a_reader_who_has_left_is_no_reason_to_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w", encoding="utf-8") as pipe:
        console = Console(file=pipe)
        with never_waiting(console):
            looking = PlainView(demo(), console)
            looking.note("phase fault")
            looking.show(SNAPSHOT)
            looking.note("phase recovery")
    assert capsys.readouterr().err == ""


def test_that_nothing_can_be_written_ends_no_run_and_is_told_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        console = Console(file=full)
        with never_waiting(console):
            looking = PlainView(demo(), console)
            looking.note("phase fault")
            looking.note("phase recovery")
    assert "not everything could be shown: No space left on device" in capsys.readouterr().err


def test_what_is_kept_in_memory_is_written_there_at_once() -> None:
    shown = io.StringIO()
    console = Console(file=shown)
    with never_waiting(console):
        console.print("phase fault")
        assert shown.getvalue() == "phase fault\n"


def test_a_held_phase_says_how_to_go_on() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    with LiveView(demo(), console) as view:
        view.show(SNAPSHOT)
        assert "holding" not in shown.getvalue()
        view.show(HELD)
    assert "holding: press Enter to go on" in shown.getvalue()
    assert "1779 s at most" in shown.getvalue()
