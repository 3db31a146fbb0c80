"""Who looks on while it runs: a live table at a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crashcart.model.plan import Plan
from crashcart.outlet import Outlet
from crashcart.ports import Snapshot

PLAIN_EVERY_S = 5.0
TABLES_WAIT_BYTES = 8_192
"""Of a terminal that is held: four tables or so. They are out of date when it goes on."""
NOTES_WAIT_BYTES = 65_536


class _Pen:
    """Writes lines while somebody reads them; the run goes on all the same."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._left_out = 0

    def waiting_bytes(self) -> int:
        """What was written and not read yet."""
        way_out: object = self._console.file
        return way_out.waiting_bytes if isinstance(way_out, Outlet) else 0

    def line(self, text: str, style: str = "") -> None:
        """One line, with the seconds since the beginning, unless too many wait to be read."""
        if self.waiting_bytes() > NOTES_WAIT_BYTES:
            self._left_out += 1
            return
        if self._left_out:
            self._console.print(f"          … {self._left_out} lines are left out: nobody read", style="dim")
            self._left_out = 0
        line = Text(f"{time.monotonic() - self._began:7.1f} s  {text}", style=style)
        self._console.print(line, soft_wrap=True)


class PlainView:
    """One line every few seconds: for logs and pipes."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._pen = _Pen(console)
        self._next_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, text: str) -> None:
        """One line, with the seconds since the beginning."""
        self._pen.line(text)

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
        self._pen = _Pen(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def note(self, text: str) -> None:
        """Stays above the table."""
        self._pen.line(text, style="dim")

    def show(self, snapshot: Snapshot) -> None:
        """Redraw, unless the one before has not been read: the latest is what counts."""
        if self._pen.waiting_bytes() <= TABLES_WAIT_BYTES:
            self._live.update(self._draw(snapshot), refresh=True)

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
