"""Figures of a run, taken from its recording."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec

from crashcart.model.recording import Event
from crashcart.model.verdict import Verdict


class RunFigures(msgspec.Struct, frozen=True):
    """What one steady run cost and did."""

    peak_per_s: float
    outcome: str
    boot_s: float
    after_s: float
    """From the end of the last phase to the end of the command, tear-down left out."""
    tear_down_s: float
    overhead_s: float
    """The whole command less the timeline: what each experiment of a suite costs beside itself."""
    lateness_p99_ms: float | None
    """How late the load's sessions began."""
    cpu_ms_per_order: float | None
    cpu_ms_by_process: dict[str, float]
    neighbours: float | None
    offered: int
    completed: int
    bad: int
    """Intents of the baseline that ended other than ok, declined or sold out."""
    checkout_p99_ms: float | None
    valid: bool

    def holds(self, p99_ms: float) -> bool:
        """Delivered in full, without an error, and fast enough."""
        return self.valid and self.bad == 0 and self.checkout_p99_ms is not None and self.checkout_p99_ms <= p99_ms


class _Load(msgspec.Struct, frozen=True):
    lateness_p99_ms: float | None = None


def measure_run(root: Path, out: Path, peak_per_s: float, *, baseline_s: int, runtime: str = "local") -> RunFigures:
    """Run the steady state at that rate and read its recording."""
    command = [
        *(sys.executable, "-m", "crashcart", "run", "--yes", "steady-state", "--out", str(out)),
        *("--runtime", runtime),
        *("--set", f"load.peak_per_s={peak_per_s:g}", "--set", f"timeline.baseline={baseline_s}s"),
    ]
    began = time.monotonic()
    done = subprocess.run(command, cwd=root, check=False, stdout=subprocess.DEVNULL)
    took_s, ended_wall_s = time.monotonic() - began, time.time()
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"the run at {peak_per_s:g}/s ended with exit status {done.returncode}")
    return _read((out / "latest").resolve(), peak_per_s, took_s, ended_wall_s)


def _read(recording: Path, peak_per_s: float, took_s: float, ended_wall_s: float) -> RunFigures:
    verdict = msgspec.json.decode((recording / "verdict.json").read_bytes(), type=Verdict)
    lines = (recording / "events.jsonl").read_bytes().splitlines()
    events = [msgspec.json.decode(line, type=Event) for line in lines]
    by_name = {event.event: event for event in events}
    load = msgspec.json.decode((recording / "load-summary.json").read_bytes(), type=_Load)
    baseline = next(phase for phase in verdict.phases if phase.name == "baseline")
    tear_down_s = float(by_name["stopped"].data["took_s"])
    over_wall_s = float(by_name["load-started"].data["t0_wall"]) + baseline.end_s
    return RunFigures(
        peak_per_s=peak_per_s,
        outcome=verdict.outcome.value,
        boot_s=float(by_name["ready"].data["boot_s"]),
        after_s=round(ended_wall_s - over_wall_s - tear_down_s, 2),
        tear_down_s=tear_down_s,
        overhead_s=round(took_s - baseline.end_s, 2),
        lateness_p99_ms=load.lateness_p99_ms,
        cpu_ms_per_order=verdict.cost.cpu_ms_per_order,
        cpu_ms_by_process=dict(verdict.cost.cpu_ms_per_order_by_process),
        neighbours=verdict.cost.neighbours_busy_share,
        offered=baseline.offered,
        completed=baseline.ok,
        bad=baseline.offered - baseline.ok - baseline.declined - baseline.sold_out,
        checkout_p99_ms=baseline.checkout_p99_ms,
        valid=verdict.valid,
    )
