"""Where a run sits in a process of Locust: which assignment it gets, and what happens when its harness is gone."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gevent

from crashcart.loadkit.assignment import Assignment, Settings, by_hand, read_assignment
from crashcart.loadkit.control import Control
from crashcart.loadkit.desk import RequestListener
from crashcart.loadkit.run import Behaviour, NotReady, Run
from crashcart.loadkit.shoppers import read_program
from crashcart.loadkit.transport import HttpTransport
from crashcart.model.errors import UsageError
from crashcart.model.load import LoadProgram

PARENT_LOOK_S = 0.5
"""How often the load looks whether its harness still lives."""

SHOP_PATIENCE_S = 10.0
"""How long a load that was started by hand waits for the shop to answer."""

YOUNG_OBJECTS = 20_000
"""Objects made and not yet let go, before the collector looks for cycles among them. Notes that wait to be counted are
such, and at the ceiling a tenth of a second leaves thousands: with its usual 700 it walks them over and over."""

MakeBehaviour = Callable[[LoadProgram, Settings], Behaviour]


@dataclass(frozen=True)
class Options:
    """What a person chose on the command line or in the web page."""

    host: str
    profile: str
    peak_per_s: float
    seed: int
    duration_s: float
    out: str
    scenario: str = ""


def harness_run(assignment_file: Path, load_file: Path, make: MakeBehaviour) -> tuple[Run, Control]:
    """The run that the harness asks for, with its control server. BadFile, UsageError, RecordNotWritten."""
    assignment = read_assignment(assignment_file)
    # Locust's own table and page are for people; telling them of each request costs an eighth of the load's CPU
    run = _run(assignment, load_file, make, None)
    control = Control(run, assignment.control_address)
    gevent.spawn(_leave_with_parent, run, os.getppid())
    return run, control


def run_by_hand(options: Options, load_file: Path, make: MakeBehaviour, listener: RequestListener) -> Run:
    """The run that a person asks for, begun already. UsageError where the shop does not answer."""
    if not options.host:
        raise UsageError("no shop was named", remedy="give --host http://127.0.0.1:PORT")
    assignment = by_hand(
        target=options.host.rstrip("/"),
        out=options.out or tempfile.mkdtemp(prefix="crashcart-load-"),
        profile=options.profile,
        peak_per_s=options.peak_per_s,
        seed=options.seed,
        duration_s=options.duration_s,
        scenario=options.scenario,
        # a shop that is still up has seen this seed's keys: with the same ones every order would be an old one
        settings=Settings(key_salt=str(time.time_ns())),
    )
    run = _run(assignment, load_file, make, listener)
    give_up_at_s = time.monotonic() + SHOP_PATIENCE_S
    while True:
        try:
            run.prepare()
            break
        except NotReady as why:
            if time.monotonic() > give_up_at_s:
                raise UsageError(
                    str(why), where=assignment.target, remedy="is the shop up, and its address right?"
                ) from why
            gevent.sleep(0.5)
    kept = "" if options.out else " until it ends (--out FOLDER keeps them)"
    print(  # noqa: T201 - said to the person who started it
        f"crashcart load: {options.peak_per_s:g} purchase intents/s at peak, profile {options.profile}, "
        f"seed {options.seed}, {options.duration_s:g} s; records in {assignment.out}{kept}",
        file=sys.stderr,
        flush=True,
    )
    run.start(time.monotonic() + 0.2)
    return run


def _run(assignment: Assignment, load_file: Path, make: MakeBehaviour, listener: RequestListener | None) -> Run:
    program = read_program(load_file, assignment.scenario)
    behaviour = make(program, assignment.settings)
    run = Run(assignment, program, behaviour, HttpTransport(assignment.target), listener)
    # what has been loaded stays: the collector need not walk it again in the middle of a second
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    return run


def _leave_with_parent(run: Run, parent: int) -> None:
    """Whoever started us is gone: nobody will stop this load, so it stops itself."""
    while os.getppid() == parent:
        gevent.sleep(PARENT_LOOK_S)
    run.stop()
    run.finish()
    os._exit(1)
