"""A phase that goes on until somebody says so."""

from __future__ import annotations

from crashcart.model.errors import ControlPlaneError
from crashcart.model.holding import cut_short
from crashcart.running.crew import Crew

LEAD_S = 0.3
"""From the word to the phase's end, at the least: the load must hear of it before."""


class Holding:
    """Holds the phase that the crew is to hold, if any."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._over = crew.hold is None
        self.on = False
        """The phase's own time is over, and nobody has said anything yet."""

    def tick(self, t: float) -> None:
        """See whether the phase is to be held, and whether the word was said. ControlPlaneError: the load won't."""
        hold = self._crew.hold
        if self._over or hold is None or t < hold.not_before_s:
            return
        if t >= self._crew.plan.phase(hold.phase).end_s:
            self._end("the longest time is over")
        elif not self.on:
            self.on = True
            self._crew.operator.hold(hold.phase)
            self._crew.view.note(f"holding {hold.phase}: press Enter to go on, or `crashcart next` from elsewhere")
        elif self._crew.operator.goes_on():
            self._go_on(t, hold.phase)

    def close(self) -> None:
        """Listen no more."""
        if self.on:
            self._crew.operator.let_go()

    def _go_on(self, t: float, name: str) -> None:
        crew = self._crew
        wanted_s = min(t + LEAD_S, crew.plan.phase(name).end_s)
        taken = crew.load.cut(name, wanted_s)
        end_s = next((phase.end_s for phase in taken if phase.name == name), 0.0)
        try:
            crew.plan = cut_short(crew.plan, name, said_s=t, end_s=end_s)
        except ValueError as error:
            raise ControlPlaneError(f"the load ends the phase {name} at {end_s:g} s: {error}", where="load") from error
        crew.event(
            "phases",
            phases=[{"name": one.name, "start_s": one.start_s, "end_s": one.end_s} for one in crew.plan.phases],
            faults=[{"id": one.id, "start_s": one.start_s, "end_s": one.end_s} for one in crew.plan.faults],
        )
        self._end("somebody said so")

    def _end(self, why: str) -> None:
        hold = self._crew.hold
        assert hold is not None
        end_s = self._crew.plan.phase(hold.phase).end_s
        self._crew.event("held", phase=hold.phase, end_s=end_s, why=why)
        self._crew.view.note(f"{hold.phase} ends at {end_s:.1f} s: {why}")
        self.close()
        self.on, self._over = False, True
