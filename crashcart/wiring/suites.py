"""One run or several, from what the user asked for to an exit status."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from crashcart.loading import Project
from crashcart.model.errors import CrashcartError, ExitStatus, UsageError
from crashcart.model.plan import Plan
from crashcart.outlet import never_waiting
from crashcart.wiring.choosing import choose, parse_tags
from crashcart.wiring.plans import make_plans
from crashcart.wiring.preflight import make_held_plan, preflight
from crashcart.wiring.recordings import judge_recording, show_line, show_verdict
from crashcart.wiring.runs import Bench, machine_taken, make_bench, new_id, run_in

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.model.holding import Hold
    from crashcart.model.verdict import Verdict
    from crashcart.running.interrupts import Interrupts
    from crashcart.shelf.suite import Attempt


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `crashcart run` was asked for."""

    experiments: tuple[str, ...] = ()
    """Names, files, folders."""
    tags: tuple[str, ...] = ()
    """As they were written: `a,b` is a or b; of several each must fit."""
    not_tags: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    """`path=value`, for each of the experiments."""
    out: Path | None = None
    junit: Path | None = None
    rerun_inconclusive: int = 0
    """How often an experiment that came to nothing is run again."""
    fail_fast: bool = False
    yes: bool = False
    """Nobody is asked before anything is broken."""
    hold: str | None = None
    """The phase that goes on until somebody says so."""
    hold_at_most: str = "30m"
    runtime: str | None = None
    """What runs the designs; None: what the environment says."""

    @property
    def is_suite(self) -> bool:
        """Whether more is asked for than to run this one."""
        asked = (self.tags, self.not_tags, self.junit, self.rerun_inconclusive, self.fail_fast)
        return len(self.experiments) != 1 or any(asked)

    def chosen_by(self) -> str:
        """As it was asked for."""
        tags = [f"--tag {tag}" for tag in self.tags] + [f"--not-tag {tag}" for tag in self.not_tags]
        return " ".join([*self.experiments, *tags])


def run_suite(project: Project, request: RunRequest, console: Console) -> int:
    """The whole of `crashcart run`; the exit status. Everything is planned before anything starts.

    Raises:
        UsageError: nothing was started, and why.
    """
    if request.hold is not None:
        return _run_held(project, request, request.hold, console)
    chosen = choose(project, request.experiments, parse_tags(request.tags, request.not_tags))
    plans = make_plans(project, chosen.paths, request.overrides, request.runtime)
    for note in chosen.notes:
        console.print(note, markup=False)
    bench = make_bench(project, request.out or project.runs_dir, plans, console)
    preflight(project, plans, console, yes=request.yes)
    with never_waiting(console):
        if len(plans) == 1 and not request.is_suite:
            return _run_alone(bench, plans[0], console)
        return _run_several(bench, plans, request, console)


def _run_held(project: Project, request: RunRequest, phase: str, console: Console) -> int:
    if request.is_suite:
        raise UsageError("of several runs none can be held", where="--hold", remedy="name one experiment, and no suite")
    made, hold = make_held_plan(project, request, phase)
    bench = make_bench(project, request.out or project.runs_dir, (made,), console)
    preflight(project, (made,), console, yes=request.yes)
    with never_waiting(console):
        return _run_alone(bench, made, console, hold)


def _run_alone(bench: Bench, made: Plan, console: Console, hold: Hold | None = None) -> int:
    from crashcart.running.interrupts import Interrupts

    run_id = new_id()
    with machine_taken(run_id, console):
        verdict = run_in(
            bench, made, run_id, console, Interrupts(), lambda out, verdict: show_verdict(out, verdict, console), hold
        )
    return verdict.exit_status


def _run_several(bench: Bench, plans: Sequence[Plan], request: RunRequest, console: Console) -> int:
    from crashcart.running.interrupts import Interrupted, Interrupts
    from crashcart.shelf.keeping import SuiteFolder
    from crashcart.shelf.telling import render_suite
    from crashcart.wiring.sequence import Order, Several

    order = Order(
        suite_id=new_id(),
        plans=tuple(plans),
        chosen_by=request.chosen_by(),
        commit=bench.commit,
        overrides=request.overrides,
        reruns=request.rerun_inconclusive,
        fail_fast=request.fail_fast,
    )
    interrupts = Interrupts()
    try:
        # taken once: nobody else's run slips in between two of ours
        with machine_taken(order.suite_id, console), interrupts.handled(), known(order.suite_id, bench.runs_dir):
            folder = SuiteFolder(bench.runs_dir, order.suite_id, plans, request.junit)
            runner = SuiteRunner(bench, folder.path, console, interrupts)
            suite = Several(order, runner.attempt, folder.keep, runner.say, interrupts).go()
            render_suite(suite, folder.path, bench.runs_dir, console)
    except Interrupted:  # before the first, or between the last and its summary
        return ExitStatus.INTERRUPTED
    return suite.exit_status


@contextmanager
def known(suite_id: str, runs_dir: Path) -> Iterator[None]:
    """Registered, so that `crashcart abort` finds the suite between two runs as well. It has no faults of its own."""
    from crashcart.processes import boot_id, process_ref
    from crashcart.safety.active import ActiveRun, forget, register

    me = process_ref(os.getpid())
    assert me is not None, "this process lives"
    register(ActiveRun(suite_id, boot_id(), me, faultlog=os.devnull, recording=str(runs_dir / "suites" / suite_id)))
    try:
        yield
    finally:
        forget(suite_id)


class SuiteRunner:
    """Makes one attempt after the other. Whatever happens in one is said of that one, and the next is made."""

    def __init__(self, bench: Bench, folder: Path, console: Console, interrupts: Interrupts) -> None:
        self._bench = bench
        self._folder = folder
        self._console = console
        self._interrupts = interrupts

    def say(self, text: str) -> None:
        """A line for people."""
        self._console.print(text, style="bold", markup=False, soft_wrap=True)

    def attempt(self, made: Plan) -> Attempt:
        """Run, judge, report."""
        from crashcart.running.interrupts import Interrupted, Interrupts
        from crashcart.safety.active import abort_requested
        from crashcart.shelf.attempts import attempt_of

        run_id, began = new_id(), monotonic()
        interrupts = Interrupts()
        try:
            verdict = run_in(self._bench, made, run_id, self._console, interrupts, self._tell)
        except CrashcartError as error:
            attempt = self._failed(made, run_id, str(error), error.exit_status, monotonic() - began)
        except Exception as error:
            if self._interrupts.broke_off:  # the judge was left in the middle of a query
                raise Interrupted from error
            trace = self._keep_trace(run_id)
            said = f"an error of our own: {error!r}\n  please report it with the trace in {trace}"
            attempt = self._failed(made, run_id, said, ExitStatus.OURS, monotonic() - began)
        else:
            attempt = attempt_of(verdict, f"{made.name}/{run_id}", monotonic() - began, made.duration_s)
        if interrupts.asked:
            self._interrupts.ask(interrupts.how)
        elif abort_requested(self._folder.name):
            self._interrupts.ask("crashcart abort")
        return attempt

    def _failed(self, made: Plan, run_id: str, problem: str, status: ExitStatus, took_s: float) -> Attempt:
        from crashcart.shelf.attempts import broken_attempt

        self._console.print(f"crashcart: {problem}", markup=False, soft_wrap=True)
        recording = self._bench.runs_dir / made.name / run_id
        there = f"{made.name}/{run_id}" if (recording / "plan.json").exists() else ""
        if there and not (recording / "verdict.json").exists():
            self._judge(recording)
        # 2 would say that nothing was started
        status = ExitStatus.OURS if status is ExitStatus.USAGE else status
        return broken_attempt(run_id, there, problem, status, took_s)

    def _judge(self, recording: Path) -> None:
        """So that there is a report of what was seen; that there can be none is no news here."""
        from crashcart.running.interrupts import Interrupted

        try:
            judge_recording(recording)
        except Exception as error:
            if self._interrupts.broke_off:  # left in the middle of a query
                raise Interrupted from error
            if not isinstance(error, (CrashcartError, OSError)):
                raise
            self._console.print(f"no report: {error}", markup=False, soft_wrap=True)

    def _tell(self, out: Path, verdict: Verdict) -> None:
        """A pass in one line, anything else in full."""
        show = show_line if verdict.exit_status == ExitStatus.PASS else show_verdict
        show(out, verdict, self._console)

    def _keep_trace(self, run_id: str) -> Path:
        path = self._folder / f"error-{run_id}.txt"
        try:
            path.write_text(traceback.format_exc(), encoding="utf-8")
        except OSError as error:
            self._console.print(f"no trace was written: {error.strerror}", markup=False)
        return path
