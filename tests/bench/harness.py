"""What the harness takes during a run: CPU and memory of its process and its watchdog, looked at from outside."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from crashcart.safety.active import active_runs

LIMIT_CPU_SHARE = 0.03
"""Of one core, harness and watchdog together."""
LIMIT_GROWTH_MIB = 4.0
"""A day of this growth would be seen; the first seconds, in which modules are loaded, are left out."""
SETTLED_S = 10.0
Found = TypeVar("Found")
EXPERIMENT = "card-processor-outage-at-peak"


class HarnessFigures(msgspec.Struct, frozen=True):
    """Of one run, from `SETTLED_S` after its first phase to the end of its last."""

    seconds: float
    peak_per_s: float
    cpu_share: float
    """Of one core."""
    watchdog_cpu_share: float
    rss_mib: float
    """At the end; `growth_mib` of it came during that time."""
    growth_mib: float

    @property
    def holds(self) -> bool:
        """Whether it stays within its limits."""
        return self.cpu_share + self.watchdog_cpu_share <= LIMIT_CPU_SHARE and self.growth_mib <= LIMIT_GROWTH_MIB


def measure_harness(
    root: Path, out: Path, *, peak_per_s: float, baseline_s: int, runtime: str = "local"
) -> HarnessFigures:
    """Run the demo, with its probes, and look at the harness once a second."""
    command = [
        *(sys.executable, "-m", "crashcart", "run", "--yes", EXPERIMENT, "--out", str(out), "--runtime", runtime),
        *("--set", f"load.peak_per_s={peak_per_s:g}", "--set", f"timeline.baseline={baseline_s}s"),
    ]
    before = set(out.glob(f"{EXPERIMENT}/*"))
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    try:
        recording = _wait_for(process, lambda: _new_with(out, before, '"phase":"warmup"'))
        time.sleep(SETTLED_S)
        figures = _watch(process, recording, peak_per_s)
    finally:
        if process.wait() not in (0, 1, 3):
            print(f"the run ended with exit status {process.returncode}", file=sys.stderr)  # noqa: T201
    return figures


def _watch(process: subprocess.Popen[bytes], recording: Path, peak_per_s: float) -> HarnessFigures:
    watchdog = next(run.watchdog for run in active_runs() if run.run_id == recording.name)
    assert watchdog is not None
    harness, guard = psutil.Process(process.pid), psutil.Process(watchdog.pid)
    began, cpu, guard_cpu, rss = time.monotonic(), _cpu_s(harness), _cpu_s(guard), harness.memory_info().rss
    _wait_for(process, lambda: _has(recording, '"event":"cpu","data":{"at":"end"') or None)
    seconds = time.monotonic() - began
    return HarnessFigures(
        seconds=round(seconds, 1),
        peak_per_s=peak_per_s,
        cpu_share=round((_cpu_s(harness) - cpu) / seconds, 4),
        watchdog_cpu_share=round((_cpu_s(guard) - guard_cpu) / seconds, 4),
        rss_mib=round(harness.memory_info().rss / 2**20, 1),
        growth_mib=round((harness.memory_info().rss - rss) / 2**20, 2),
    )


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _new_with(out: Path, before: set[Path], text: str) -> Path | None:
    new = set(out.glob(f"{EXPERIMENT}/*")) - before
    return next((path for path in new if _has(path, text)), None)


def _has(recording: Path, text: str) -> bool:
    events = recording / "events.jsonl"
    return events.exists() and text in events.read_text(encoding="utf-8")


def _wait_for(process: subprocess.Popen[bytes], ask: Callable[[], Found | None]) -> Found:
    """Ask ten times a second until there is an answer. SystemExit where the run ends before."""
    while (found := ask()) is None:
        if process.poll() is not None:
            raise SystemExit(f"the run ended before it could be measured, with exit status {process.returncode}")
        time.sleep(0.1)
    return found


def main() -> int:
    """This one alone: `python -m tests.bench.harness`."""
    root = Path(__file__).parents[2]
    out = root / "runs" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    figures = measure_harness(root, out, peak_per_s=40, baseline_s=30)
    print(msgspec.json.format(msgspec.json.encode(figures), indent=1).decode())  # noqa: T201
    return 0 if figures.holds else 1


if __name__ == "__main__":
    sys.exit(main())
