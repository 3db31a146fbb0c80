"""One experiment after the other: what is run again, when it ends early, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import crashcart
from crashcart.model.errors import ExitStatus
from crashcart.model.plan import Plan
from crashcart.running.clock import wall_text
from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.shelf.suite import SUITE_FORMAT, Attempt, Entry, Suite, worst_status

OVERHEAD_S = 15.0
"""What a run takes beside its timeline, until it has been seen."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run."""

    suite_id: str
    plans: tuple[Plan, ...]
    chosen_by: str = ""
    commit: str = ""
    overrides: tuple[str, ...] = ()
    reruns: int = 0
    """How often an experiment that came to nothing is run again."""
    fail_fast: bool = False


@dataclass(slots=True)
class Several:
    """Makes the attempts of an order. `attempt` runs one plan; `keep` is given the state of things after each."""

    order: Order
    attempt: Callable[[Plan], Attempt]
    keep: Callable[[Suite], None]
    say: Callable[[str], None]
    interrupts: Interrupts
    _entries: list[Entry] = field(default_factory=list)
    _ended: str = "under way"
    _began: float = field(default_factory=monotonic)
    _began_wall: str = field(default_factory=wall_text)

    def go(self) -> Suite:
        """Until the end, or the reason to end before. The suite is kept whatever happens."""
        self._entries = [Entry(made.name, made.experiment_file, made.duration_s) for made in self.order.plans]
        self.keep(self.state())
        try:
            self._ended = self._all()
        except Interrupted:
            self._ended = "interrupted"
        finally:
            self.interrupts.disarm()  # it ends now, however often somebody asks
            if self._ended == "under way":
                self._ended = "broken"
            self.keep(self.state())
        return self.state()

    def state(self) -> Suite:
        """As it stands."""
        statuses = [entry.last.exit_status for entry in self._entries if entry.last]
        # "under way" is what stays on disk when the machine dies under it: that must not read as a pass
        so_far = {
            "under way": [ExitStatus.INCONCLUSIVE],
            "interrupted": [ExitStatus.INTERRUPTED],
            "broken": [ExitStatus.OURS],
        }
        statuses += so_far.get(self._ended, [])
        return Suite(
            format=SUITE_FORMAT,
            suite_id=self.order.suite_id,
            chosen_by=self.order.chosen_by,
            started_wall=self._began_wall,
            finished_wall=wall_text(),
            took_s=round(monotonic() - self._began, 1),
            ended=self._ended,
            exit_status=int(worst_status(statuses)),
            commit=self.order.commit,
            crashcart_version=crashcart.__version__,
            overrides=self.order.overrides,
            entries=tuple(self._entries),
        )

    def _all(self) -> str:
        for number, made in enumerate(self.order.plans):
            if self.interrupts.asked:
                return "interrupted"
            self.say(self._heading(number))
            last = self._one(number, made)
            if last.ended == "interrupted":
                return "interrupted"
            if last.exit_status == ExitStatus.NOT_UNDONE or not last.recording:
                return "broken"  # nothing more is begun while something is broken, or where nothing can be written
            if self.order.fail_fast and last.exit_status != ExitStatus.PASS and number + 1 < len(self.order.plans):
                return "fail-fast"
        return "completed"

    def _one(self, number: int, made: Plan) -> Attempt:
        last = self._attempt(number, made)
        for again in range(self.order.reruns):
            if last.exit_status != ExitStatus.INCONCLUSIVE or self.interrupts.asked:
                break
            self.say(f"{made.name} was inconclusive, again ({again + 1} of {self.order.reruns})")
            last = self._attempt(number, made)
        return last

    def _attempt(self, number: int, made: Plan) -> Attempt:
        attempt = self.attempt(made)
        entry = self._entries[number]
        self._entries[number] = Entry(entry.experiment, entry.file, entry.timeline_s, (*entry.attempts, attempt))
        self.keep(self.state())
        return attempt

    def _heading(self, number: int) -> str:
        left_s = minutes_left(self.order.plans[number:], self.state().overheads_s)
        made = self.order.plans[number]
        return f"{number + 1} of {len(self.order.plans)}  {made.name}: {made.title}, about {left_s} left"


def minutes_left(plans: Sequence[Plan], overheads_s: Sequence[float]) -> str:
    """Timelines, and for each run what the runs so far took beside theirs."""
    each_s = sum(overheads_s) / len(overheads_s) if overheads_s else OVERHEAD_S
    left_s = sum(made.duration_s + each_s for made in plans)
    return f"{left_s:.0f} s" if left_s < 90 else f"{left_s / 60:.0f} min"
