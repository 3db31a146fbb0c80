"""Locust's side: a User whose one task runs the load, options, statistics, and an ending for each way there is to end.

Two ways to be started. By the harness, with CRASHCART_LOAD in the environment: it says when to begin and when to leave.
By hand (`locust -f loadtests/locustfile.py --host http://…`): by the web page's Start and Stop or `--headless`, as with
any locustfile.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import gevent
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import STATE_CLEANUP, STATE_STOPPED, STATE_STOPPING

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.assignment import Settings
from crashcart.loadkit.control import METRICS_TYPE, Control
from crashcart.loadkit.run import Behaviour, Run
from crashcart.loadkit.seat import Options, harness_run, run_by_hand
from crashcart.model.errors import CrashcartError
from crashcart.model.load import LoadProgram

ASSIGNMENT_VARIABLE = "CRASHCART_LOAD"

LEAVES_AFTER_S = 120.0
"""How long a settled load stays up for the harness's last scrapes when nobody ends it."""


class Statistics:
    """Tells Locust of every request, so that its page, its tables and its CSV files show the run."""

    def __init__(self, environment: Environment) -> None:
        self._request = environment.events.request
        self._errors: dict[str, RuntimeError] = {}

    def __call__(self, request: Request, answer: Answer, problem: str, started_wall_s: float, took_s: float) -> None:
        """As `RequestListener` says. Locust's times count from the send, our metrics' from the intended time."""
        self._request.fire(  # type: ignore[no-untyped-call]
            request_type=request.method,
            name=request.name,
            response_time=took_s * 1000,
            response_length=len(answer.body),
            # made once for each word: Locust groups by an error's text
            exception=self._errors.setdefault(problem, RuntimeError(problem)) if problem else None,
            context={},
            start_time=started_wall_s,
            url=request.path,
            response=None,
        )


class OpenLoopUser(User):
    """Base of a project's User. However many users are asked for, one runs: the profile says how many shoppers come."""

    abstract = True
    fixed_count = 1
    load_file: ClassVar[Path]
    """The project's `load.yaml`."""

    _present: ClassVar[WeakKeyDictionary[Environment, Run]] = WeakKeyDictionary()
    _controls: ClassVar[WeakKeyDictionary[Environment, Control]] = WeakKeyDictionary()

    @classmethod
    def behaviour(cls, program: LoadProgram, settings: Settings) -> Behaviour:
        """What the project's shoppers do. UsageError where the declared mix makes no sense."""
        raise NotImplementedError

    @task
    def shoppers(self) -> None:
        """Run the load to its end."""
        environment = self.environment
        run = self._present.get(environment)
        if environment in self._controls:
            assert run is not None
            run.drive()
            gevent.sleep(LEAVES_AFTER_S)
        elif run is None or run.state == "settled":
            self._drive_by_hand(environment)
        else:
            # one too many: more than one user was asked for
            raise StopUser
        _end(environment)
        raise StopUser

    def _drive_by_hand(self, environment: Environment) -> None:
        options = _options(environment)
        try:
            run = run_by_hand(options, self.load_file, self.behaviour, Statistics(environment))
        except CrashcartError as error:
            print(f"crashcart load: {error}", file=sys.stderr, flush=True)  # noqa: T201 - said to whoever started it
            environment.process_exit_code = error.exit_status
            return
        self._present[environment] = run
        try:
            run.drive()
        finally:  # Locust's Stop ends this greenlet where it stands
            if run.broken:
                environment.process_exit_code = 70
            elif not options.out:
                shutil.rmtree(run.assignment.out, ignore_errors=True)

    @classmethod
    def of_environment(cls, environment: Environment) -> Run | None:
        """The run that is on, or was last."""
        return cls._present.get(environment)

    @classmethod
    def for_harness(cls, environment: Environment, assignment_file: Path) -> None:
        """Open the control server; the harness does the rest."""
        run, control = harness_run(assignment_file, cls.load_file, cls.behaviour)
        cls._present[environment] = run
        cls._controls[environment] = control


def _end(environment: Environment) -> None:
    """End Locust's own run: `--headless` leaves, the web page shows "stopped" and can start again."""
    runner = environment.runner
    if runner is not None and runner.state not in (STATE_CLEANUP, STATE_STOPPING, STATE_STOPPED):
        # from a greenlet of its own, since this one is among those that are ended
        gevent.spawn(runner.stop if environment.web_ui else runner.quit)


def _options(environment: Environment) -> Options:
    parsed: Any = environment.parsed_options
    return Options(
        host=environment.host or "",
        profile=parsed.profile or "steady",
        peak_per_s=float(parsed.peak_per_s),
        seed=int(parsed.seed),
        duration_s=float(parsed.run_time or parsed.duration),
        out=parsed.out or "",
        scenario=parsed.scenario or "",
    )


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser, **_: Any) -> None:
    # added to the parser itself: what is in a group does not show in the web page's form.
    # `--profile` is Locust's own, a name for the run: here the name of the profile, of crashcart.model.profiles.
    # nothing of ours listens beyond loopback unless asked: Locust's own default is every interface
    parser.set_defaults(web_host="127.0.0.1")
    parser.add_argument(
        "--peak-per-s", type=float, default=10.0, help="purchase intents a second at the profile's peak"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same shoppers")
    parser.add_argument(
        "--duration", type=float, default=60.0, help="seconds the profile lasts, unless --run-time says"
    )
    parser.add_argument("--scenario", default="", help="one of those in load.yaml; empty: the usual mix of shoppers")
    parser.add_argument(
        "--out", default="", help="folder for intents, pace and summary; if empty, they are kept no longer than the run"
    )


@events.init.add_listener  # type: ignore[untyped-decorator]
def _on_init(environment: Environment, web_ui: Any, **_: Any) -> None:
    user_class = next((one for one in environment.user_classes if issubclass(one, OpenLoopUser)), None)
    if user_class is None:
        return
    assignment_file = os.environ.get(ASSIGNMENT_VARIABLE)
    if assignment_file:
        try:
            user_class.for_harness(environment, Path(assignment_file))
        except CrashcartError as error:
            print(f"crashcart load: {error}", file=sys.stderr, flush=True)  # noqa: T201 - said to whoever started it
            sys.exit(error.exit_status)
    if web_ui is not None:
        web_ui.app.add_url_rule("/metrics", "crashcart_metrics", lambda: _metrics(user_class, environment))


@events.test_stopping.add_listener  # type: ignore[untyped-decorator]
def _on_stop(environment: Environment, **_: Any) -> None:
    run = OpenLoopUser.of_environment(environment)
    if run is not None:
        run.stop()


def _metrics(user_class: type[OpenLoopUser], environment: Environment) -> tuple[bytes, int, dict[str, str]]:
    """What Flask makes an answer of: body, status, headers."""
    run = user_class.of_environment(environment)
    return run.render_metrics() if run else b"", 200, {"Content-Type": METRICS_TYPE}
