"""How long judging takes, and in how much memory: recordings made up for it, each judged in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench.made import make_recording

MILLION = 1_000_000


class JudgeFigures(msgspec.Struct, frozen=True):
    """One recording, judged once."""

    intents: int
    seconds: float
    """From the call of `judge` to its verdict."""
    cpu_s: float
    """Of all threads meanwhile: on a machine that neighbours keep busy, this tells more."""
    memory_mib: int
    """The most that the process ever held, interpreter and libraries included."""
    recording_mib: int
    outcome: str


LIMITS = {MILLION: "≤ 3 s, 400 MiB", 10 * MILLION: "≤ 700 MiB"}


def judge_rows(figures: Sequence[JudgeFigures]) -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for people."""
    return [
        (
            f"judge {one.intents / MILLION:g}M intents, {one.recording_mib} MiB of files: {one.outcome}",
            f"{one.seconds:.2f} s ({one.cpu_s:.2f} s CPU), {one.memory_mib} MiB",
            LIMITS.get(one.intents, ""),
        )
        for one in figures
    ]


def measure_judge(root: Path, intents: int, tries: int = 3) -> JudgeFigures:
    """The quickest of some tries; the first one warms the disk's cache up."""
    with tempfile.TemporaryDirectory(prefix="crashcart-bench-") as folder:
        recording = make_recording(root, Path(folder) / "recording", intents)
        size = sum(path.stat().st_size for path in recording.rglob("*") if path.is_file())
        tried = [_once(root, recording) for _ in range(tries)]
    seconds, cpu_s, memory_kib, outcome = min(tried)
    if outcome != "pass":  # what does not count is not looked at to its end
        raise SystemExit(f"the made-up recording, in which nothing is wrong, was judged {outcome}")
    return JudgeFigures(intents, round(seconds, 2), round(cpu_s, 2), memory_kib >> 10, size >> 20, outcome)


def _once(root: Path, recording: Path) -> tuple[float, float, int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.judging", str(recording)], cwd=root, check=True, capture_output=True
    )
    return msgspec.json.decode(done.stdout, type=tuple[float, float, int, str])


def _judge_here(recording: Path) -> tuple[float, float, int, str]:
    from crashcart.judging import judge

    began_s, cpu_s = time.monotonic(), time.process_time()
    verdict = judge(recording)
    took_s, used_s = time.monotonic() - began_s, time.process_time() - cpu_s
    # not `ru_maxrss`: that remembers what the parent held when it started us
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    memory_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return took_s, used_s, memory_kib, verdict.outcome.value


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_judge_here(Path(sys.argv[1]))))
