"""The one place that chooses adapters, and the few things that need all of them."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from crashcart.faults import registry
from crashcart.loading import Project
from crashcart.model.errors import ExitStatus, NotUndone, UsageError
from crashcart.model.plan import Plan
from crashcart.planning import Request, plan

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.model.recording import Machine
    from crashcart.model.topology import Topology
    from crashcart.model.verdict import Verdict
    from crashcart.ports import FaultInjector, Probes, Stack, View
    from crashcart.running import Parts
    from crashcart.running.parts import ProbeSink
    from crashcart.runtimes.local import LocalRuntime

RUNTIME = "local"


def make_plan(project: Project, experiment: str, overrides: Sequence[str]) -> Plan:
    """The plan of an experiment by name or path. BadFile or UsageError where there can be none."""
    file = project.experiment(experiment, overrides)
    return plan(Request(file, project, RUNTIME, _runtime().can, registry(), tuple(overrides)))


def plan_json(made: Plan) -> str:
    """As `plan.json` in the recording."""
    return msgspec.json.format(msgspec.json.encode(made), indent=1).decode()


def run_and_judge(project: Project, made: Plan, runs_dir: Path, console: Console) -> int:
    """The whole of `crashcart run`; the exit status."""
    from crashcart.live import make_view
    from crashcart.running import Prepared, run
    from crashcart.running.interrupts import Interrupts
    from crashcart.safety.recover import recover
    from crashcart.safety.runlock import runlock
    from crashcart.tools import find_tools

    tools = find_tools()
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    with runlock(run_id):
        left = recover(lambda line: console.print(line, markup=False))
        if left.not_undone:
            raise NotUndone("; ".join(left.not_undone), remedy="mend it by hand, then run `crashcart recover`")
        out = _new_recording(runs_dir, made.name, run_id)
        versions = {
            tool.name: tool.version for tool in (tools.postgres, tools.valkey, tools.toxiproxy, tools.prometheus)
        }
        prepared = Prepared(made, run_id, project.root, out, _commit(project.root), _machine(versions), os.environ)
        not_undone: NotUndone | None = None
        try:
            with make_view(made, console) as view:
                run(prepared, _parts(made, run_id, view), Interrupts())
        except NotUndone as error:
            not_undone = error
        try:
            _point_latest(runs_dir, out)
            verdict = _judge(out)
            _show(out, verdict, console)
        finally:
            # whatever becomes of the report: that something is still broken comes first
            if not_undone is not None:
                raise not_undone
        return verdict.exit_status


def judge_again(recording: Path, console: Console) -> int:
    """The verdict of a recording, written anew."""
    _check_recording(recording)
    verdict = _judge(recording)
    _show(recording, verdict, console)
    return verdict.exit_status


def report_again(recording: Path) -> Path:
    """The reports of a recording, written anew; where the page is."""
    from crashcart.reporting import write_all

    _check_recording(recording)
    return write_all(recording, _judge(recording))


def _check_recording(recording: Path) -> None:
    from crashcart.recorder import verify

    if not (recording / "plan.json").is_file():
        raise UsageError(f"{recording} is not a recording", remedy="name a folder below runs/ that has a plan.json")
    verify(recording)


def _judge(recording: Path) -> Verdict:
    from crashcart.judging import judge
    from crashcart.reporting import write_all

    verdict = judge(recording)
    write_all(recording, verdict)
    return verdict


def _show(recording: Path, verdict: Verdict, console: Console) -> None:
    from crashcart.reporting.terminal import render_verdict

    render_verdict(verdict, console, report=recording / "report.html")


def _parts(made: Plan, run_id: str, view: View) -> Parts:
    from crashcart.harnessmetrics import HarnessMetrics
    from crashcart.loadcontrol import LoadClient
    from crashcart.prometheus import PrometheusReader
    from crashcart.running import Parts
    from crashcart.runtimes.addresses import Reservations
    from crashcart.safety.active import abort_requested
    from crashcart.safety.watchdog import Watchdog

    ports = Reservations()  # held until this process ends
    return Parts(
        runtime=_runtime(),
        view=view,
        state=HarnessMetrics(made),
        start_watchdog=Watchdog.start,
        metrics=lambda topology: PrometheusReader(topology.prometheus_url),
        probes=_probes,
        injector=_injector,
        load_control=LoadClient,
        abort_requested=lambda: abort_requested(run_id),
        free_port=ports.take,
    )


def _injector(stack: Stack, log: Path, on_restart: Callable[[str], None]) -> FaultInjector:
    from crashcart.safety.faultlog import FaultLog
    from crashcart.safety.injector import Injector
    from crashcart.safety.worlds import StackWorld

    def restart(_reason: str) -> None:
        stack.restart_toxiproxy(disabled=())
        on_restart("toxiproxy")

    return Injector(FaultLog(log), StackWorld(stack), registry(), on_control_plane_hung=restart)


def _runtime() -> LocalRuntime:
    from crashcart.runtimes.local import LocalRuntime

    return LocalRuntime()


def _probes(topology: Topology, proxies: Sequence[str], sink: ProbeSink, t0: float) -> Probes:
    from crashcart.probes import ProbeRunner

    return ProbeRunner(topology, proxies, sink, t0)


def _new_recording(runs_dir: Path, name: str, run_id: str) -> Path:
    out = runs_dir / name / run_id
    try:
        out.mkdir(parents=True)
        (out / "logs").mkdir()
    except OSError as error:
        raise UsageError(
            f"the recording can't be written: {error.strerror}", where=str(out), remedy="name another folder with --out"
        ) from error
    free_mib = shutil.disk_usage(out).free >> 20
    if free_mib < 200:
        raise UsageError(
            f"only {free_mib} MiB are free", where=str(out), remedy="make room, or name another with --out"
        )
    return out


def _point_latest(runs_dir: Path, out: Path) -> None:
    link, fresh = runs_dir / "latest", runs_dir / f".latest-{os.getpid()}"
    fresh.symlink_to(out.relative_to(runs_dir))
    fresh.replace(link)


def _commit(root: Path) -> str:
    """The project's commit, with `+changes` where the tree has any; empty outside git."""
    try:
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=5
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}+changes" if changed else head


def _machine(tools: dict[str, str]) -> Machine:
    from crashcart.model.recording import Machine

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(os.cpu_count() or 1, memory >> 20, platform.release(), platform.python_version(), tools)


def stack_up(project: Project, design: str, console: Console) -> None:
    """Boot a design and leave it standing; says where its door is."""
    from crashcart.planning import front_door
    from crashcart.runtimes import standing

    loaded = project.design(design)
    topology = standing.up(loaded, project.root, lambda line: console.print(line, markup=False))
    address = topology.proxy(front_door(loaded)).listen
    console.print(f"the shop's door: http://{address}   Prometheus: {topology.prometheus_url}")
    console.print("crashcart stack status · logs · down")


def stack_down(design: str, console: Console) -> None:
    """End a standing stack; none is fine."""
    from crashcart.runtimes import standing

    topology = standing.find(design)
    if topology is None:
        console.print(f"no stack of the design {design} is standing")
        return
    standing.down(topology)
    console.print(f"the stack of the design {design} is down, and its data removed")


def stack_status(design: str, console: Console) -> int:
    """How each instance is; 1 where one is not well."""
    from rich.table import Table

    from crashcart.runtimes import standing

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("instance", "kind", "address", "pid", "state"):
        table.add_column(column)
    rows = standing.status(_standing(design))
    for row in rows:
        table.add_row(row.instance, row.kind, row.address, str(row.pid or "–"), row.ready or "ready")
    console.print(table)
    return int(ExitStatus.FAIL if any(row.ready for row in rows) else ExitStatus.PASS)


def stack_logs(design: str, instance: str | None, *, follow: bool) -> None:
    """One instance's log, or the last lines of each."""
    from crashcart.runtimes import standing

    topology = _standing(design)
    if instance is not None:
        for line in standing.logs(topology, instance, follow=follow):
            click.echo(line)
        return
    if follow:
        raise UsageError("whose log?", remedy="crashcart stack logs checkout[0] --follow")
    for one in topology.instances:
        for line in standing.logs(topology, one.name, lines=5):
            click.echo(f"{one.name}: {line}")


def _standing(design: str) -> Topology:
    from crashcart.runtimes import standing

    topology = standing.find(design)
    if topology is None:
        raise UsageError(
            f"no stack of the design {design!r} is standing", remedy=f"crashcart stack up --design {design}"
        )
    return topology
