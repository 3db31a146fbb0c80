"""Who looks on while it runs: a live table at a terminal, plain lines elsewhere."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crashcart.model.plan import Plan
from crashcart.ports import Snapshot

PLAIN_EVERY_S = 5.0


class _Screen:
    """A console that may go away: that nobody reads it is no reason to leave a run half-way."""

    def __init__(self) -> None:
        self._gone = False

    def draw(self, what: Callable[[], object]) -> None:
        """Draw, if there is anything to draw on."""
        if self._gone:
            return
        try:
            what()
        except BrokenPipeError:  # who reads the pipe has left; the end of the command says so
            self._gone = True
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._gone = True
            _to_nowhere()


def _to_nowhere() -> None:
    """The terminal is gone: whatever is still said to it would raise, at the interpreter's end, too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


class PlainView:
    """One line every few seconds: for logs and pipes."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._screen = _Screen()
        self._began = time.monotonic()
        self._next_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, text: str) -> None:
        """One line, with the seconds since the beginning."""
        line = Text(f"{time.monotonic() - self._began:7.1f} s  {text}")
        self._screen.draw(lambda: self._console.print(line, soft_wrap=True))

    def show(self, snapshot: Snapshot) -> None:
        """A line now and then."""
        if snapshot.t < self._next_s:
            return
        self._next_s = snapshot.t + PLAIN_EVERY_S
        slis = "  ".join(f"{name} {_percent(observed)}" for name, observed, _ in snapshot.slis[:4])
        faults = f"  ACTIVE: {', '.join(snapshot.active_faults)}" if snapshot.active_faults else ""
        rates = f"{snapshot.started_per_s:5.1f}/s of {snapshot.offered_per_s:5.1f}/s"
        self.note(f"{snapshot.phase:<9} {rates} intents  {slis}{faults}")


class LiveView:
    """A table that is redrawn each second, with the notes above it."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._began = time.monotonic()
        self._screen = _Screen()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.draw(lambda: self._live.__exit__(kind, error, trace))

    def note(self, text: str) -> None:
        """Stays above the table."""
        line = Text(f"{time.monotonic() - self._began:7.1f} s  {text}", style="dim")
        self._screen.draw(lambda: self._live.console.print(line))

    def show(self, snapshot: Snapshot) -> None:
        """Redraw."""
        self._screen.draw(lambda: self._live.update(self._draw(snapshot), refresh=True))

    def _draw(self, snapshot: Snapshot) -> RenderableType:
        head = Text.assemble(
            (f" {snapshot.phase.upper()} ", "reverse bold"),
            f"  {max(snapshot.phase_ends_s - snapshot.t, 0):.0f} s left,",
            f" {max(snapshot.ends_s - snapshot.t, 0):.0f} s in all",
        )
        if snapshot.holding:
            head = Text.assemble(
                (f" {snapshot.phase.upper()} ", "reverse bold"),
                ("  holding: press Enter to go on", "bold yellow"),
                f", or `crashcart next`; {max(snapshot.phase_ends_s - snapshot.t, 0):.0f} s at most",
            )
        bar = Table.grid()
        bar.add_row(ProgressBar(total=snapshot.ends_s, completed=max(snapshot.t, 0), width=60))
        return Group(Text(), head, bar, self._rates(snapshot), self._slis(snapshot), self._faults(snapshot))

    def _rates(self, snapshot: Snapshot) -> Table:
        table = Table.grid(padding=(0, 3))
        table.add_row(
            Text(f"offered {snapshot.offered_per_s:.1f}/s"),
            Text(f"achieved {snapshot.started_per_s:.1f}/s"),
            Text(f"shoppers inside {snapshot.in_flight}"),
            Text(f"lateness p99 {snapshot.lateness_p99_ms:.0f} ms"),
        )
        return table

    def _slis(self, snapshot: Snapshot) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("SLO")
        table.add_column("objective", justify="right")
        table.add_column("so far", justify="right")
        table.add_column("")
        for name, observed, objective in snapshot.slis:
            met = observed is None or observed >= objective
            mark = Text("no events yet", style="dim") if observed is None else Text("" if met else "below", style="red")
            table.add_row(name, _percent(objective), Text(_percent(observed), style="" if met else "red bold"), mark)
        return table

    def _faults(self, snapshot: Snapshot) -> Text:
        if not snapshot.active_faults:
            return Text("no fault is active; Ctrl-C stops the run and puts everything back", style="dim")
        return Text.assemble(("ACTIVE ", "bold yellow"), ", ".join(snapshot.active_faults))


def make_view(plan: Plan, console: Console) -> LiveView | PlainView:
    """The table where somebody can see it being redrawn, else lines."""
    return LiveView(plan, console) if console.is_terminal and sys.stdout.isatty() else PlainView(plan, console)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.2f} %"
