"""Who looks on sees what matters; that nobody looks on any more disturbs nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crashcart.live import LiveView, PlainView
from crashcart.ports import Snapshot
from tests.unit.running.test_timeline import demo

SNAPSHOT = Snapshot(31.0, "fault", 1830.0, 1860.0, 40.0, 39.5, 12, 3.0, (), ("payments.psp-a is down",))
HELD = Snapshot(51.0, "fault", 1830.0, 1860.0, 40.0, 39.5, 12, 3.0, (), (), holding=True)


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class Full(io.StringIO):
    """Something else went wrong."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


class Passing(Console):
    """As the command line's own: a broken pipe is told."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("view", [PlainView, LiveView])
def test_a_reader_who_has_left_is_no_reason_to_end_the_run(view: type[PlainView | LiveView]) -> None:
    looking = view(demo(), Passing(file=Gone(), force_terminal=view is LiveView))
    looking.note("phase fault")
    looking.show(SNAPSHOT)
    looking.note("phase recovery")


def test_any_other_error_of_writing_is_told() -> None:
    with pytest.raises(OSError, match="No space left"):
        PlainView(demo(), Console(file=Full())).note("phase fault")


def test_a_held_phase_says_how_to_go_on() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    with LiveView(demo(), console) as view:
        view.show(SNAPSHOT)
        assert "holding" not in shown.getvalue()
        view.show(HELD)
    assert "holding: press Enter to go on" in shown.getvalue()
    assert "1779 s at most" in shown.getvalue()
