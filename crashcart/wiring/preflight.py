"""Before anything starts: what will be broken, what the machine holds, and, at a terminal, whether to go on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import click

from crashcart.loading import Project
from crashcart.model.errors import UsageError
from crashcart.model.plan import Plan
from crashcart.model.units import parse_duration
from crashcart.wiring.plans import make_plan

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.capacity import Foresight
    from crashcart.model.holding import Hold
    from crashcart.model.verdict import Verdict


def at_terminal() -> bool:
    """Whether somebody sits there who can read and answer. Streams may have been closed."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def capacity_of(project: Project, made: Plan, console: Console, neighbours_share: float | None = None) -> Foresight:
    """What is known of this machine for that plan; what can't be read is ignored with a word.

    `neighbours_share` is measured, which takes 0.3 s, where it is not given.
    """
    from crashcart.capacity import foresee, neighbours_now, recall

    known, problem = recall(made, project.root)
    if problem:
        console.print(problem, markup=False, soft_wrap=True)
    if neighbours_share is None:
        neighbours_share = neighbours_now() if known else 0.0
    return foresee(made, known, neighbours_share)


def keep_capacity(project: Project, made: Plan, verdict: Verdict) -> str:
    """Learn from a run that counts. Returns "" or why that could not be kept."""
    from crashcart.capacity import remember

    return remember(made, verdict, project.root)


def preflight(project: Project, plans: Sequence[Plan], console: Console, *, yes: bool) -> None:
    """Say what will be broken. At a terminal, unless `yes`, go on only when told to; click.Abort when told not to."""
    from crashcart.capacity import neighbours_now
    from crashcart.reporting.plantext import render_blast, render_brief, render_capacity

    asks = at_terminal() and not yes and any(made.faults for made in plans)
    neighbours_share = neighbours_now()
    for made in plans:
        foreseen = capacity_of(project, made, console, neighbours_share)
        if asks and len(plans) == 1:
            render_blast(made, console)
            render_capacity(foreseen, console)
            continue
        if len(plans) > 1:
            console.print(made.name, style="bold", markup=False)
        render_brief(made, console, foreseen)
    if asks:
        click.confirm("Go on?", abort=True)


class Held(Protocol):
    """What is asked of a run that is held."""

    @property
    def experiments(self) -> tuple[str, ...]:
        """One."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """`path=value`."""

    @property
    def hold_at_most(self) -> str:
        """A duration."""

    @property
    def runtime(self) -> str | None:
        """None: what the environment says."""


def make_held_plan(project: Project, asked: Held, phase: str) -> tuple[Plan, Hold]:
    """The plan with one phase at its longest. UsageError where it can't be held, or nobody is there to end it."""
    from crashcart.planning.holding import hold_of, hold_overrides

    if not at_terminal():
        what = "a phase can be held at a terminal alone: somebody must be there to end it"
        raise UsageError(what, where=f"--hold {phase}", remedy="leave --hold out, or run it from a terminal")
    experiment, overrides = asked.experiments[0], asked.overrides
    try:
        at_most_s = float(parse_duration(asked.hold_at_most))
    except ValueError as error:
        raise UsageError(str(error), where="--hold-at-most", remedy="such as 30m") from error
    written = project.experiment(experiment, overrides).experiment
    hold = hold_of(written, phase)
    longer = hold_overrides(written, hold, at_most_s)
    return make_plan(project, experiment, (*overrides, *longer), asked.runtime), hold
