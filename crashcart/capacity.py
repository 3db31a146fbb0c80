"""What this machine holds, learnt from valid runs: a pre-flight for the next one's load.

How it is reckoned. Over the baseline of a valid run, whose objectives were met, it is measured how much CPU a completed
order took, everything included (services, databases, proxies, Prometheus, load, harness). The rate that the machine is
expected to hold is then

    cores × (0.85 − the neighbours' share now) ÷ CPU of an order

0.85, because the knee lies there: at 21.6 ms an order, two cores held 80 orders a second and did not hold 86. CPU of an
order is the median of the runs near the highest rate: an order costs more where fewer of them share what a second costs
anyway. A rate that was really held counts where it is higher, if the neighbours were as busy then as they are now.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
import psutil

from crashcart.model.plan import Plan
from crashcart.model.verdict import Outcome, Verdict
from crashcart.statehome import state_home

FORMAT = "crashcart/capacity/v1"
BUSY_AT_MOST = 0.85
WARN_OVER = 0.85
NEAR_THE_HIGHEST = 0.8
"""Runs at this share of the highest rate, or more, say what an order takes."""
BELIEVED_FROM = 0.5
"""Of the peak: measured at a lower rate, an order looks dearer than it will be, which is no ground to shout."""
AS_BUSY = 0.05
"""Shares of neighbours that differ by less are alike."""
DRAWN = 1.1
"""Arrivals are drawn: of one and the same peak a run offers more than another."""
LOOKED_S = 0.3
KEPT_EACH = 10
KEPT_KEYS = 200
MAX_BYTES = 4_000_000

Level = Literal["unknown", "fine", "near", "over"]


class Held(msgspec.Struct, frozen=True):
    """What one valid run showed."""

    wall: str
    experiment: str
    per_s: float
    """Purchase intents a second of its baseline."""
    cpu_ms_per_order: float
    cores: int
    neighbours_share: float
    """Of all cores, 0 to 1."""


class Book(msgspec.Struct, frozen=True):
    """`$XDG_STATE_HOME/crashcart/capacity.json`."""

    format: str = FORMAT
    held: dict[str, tuple[Held, ...]] = {}
    """By machine, project, design, runtime and scenario; the latest last."""


class Foresight(msgspec.Struct, frozen=True):
    """What is to be said before a run."""

    level: Level
    text: str
    share: float | None = None
    """Of the peak in what is expected to hold; None where that is not known, or up to the neighbours."""


def expected_per_s(cpu_ms_per_order: float, cores: int, neighbours_share: float) -> float:
    """Purchase intents a second that so many cores are expected to hold beside such neighbours."""
    free = max(BUSY_AT_MOST - neighbours_share, 0.0)
    return cores * free / (cpu_ms_per_order / 1000)


def neighbours_now() -> float:
    """The share of all cores that is in use, 0 to 1, looked at for 0.3 s: before a run starts it is all neighbours."""
    return psutil.cpu_percent(interval=LOOKED_S) / 100


def foresee(plan: Plan, known: tuple[Held, ...], neighbours_share: float) -> Foresight:
    """The plan's peak beside what the machine is expected to hold, with neighbours who use that share now. Pure."""
    if not known:
        text = "not known yet on this machine; any valid run of this design tells (such as a short one without faults)"
        return Foresight("unknown", text)
    highest = max(held.per_s for held in known)
    near = [held for held in known if held.per_s >= NEAR_THE_HIGHEST * highest]
    cpu_ms, cores = median(held.cpu_ms_per_order for held in near), near[-1].cores
    estimate = expected_per_s(cpu_ms, cores, neighbours_share)
    as_busy = (held.per_s for held in known if held.neighbours_share > neighbours_share - AS_BUSY)
    held_so = max(as_busy, default=0.0)
    bound = max(estimate, held_so)
    alone = max(expected_per_s(cpu_ms, cores, 0.0), highest)
    cost, peak = f"{cpu_ms:.1f} ms of CPU an order", f"peak {plan.peak_per_s:g}/s"
    if estimate < plan.peak_per_s <= held_so * DRAWN:
        said = f"{peak}: {held_so:.0f}/s were held before ({cost}), beside neighbours no less busy than now"
        return Foresight("fine", f"{said} ({neighbours_share:.0%})")
    if plan.peak_per_s > alone:
        return _too_much(plan.peak_per_s, alone, highest, cost)
    if plan.peak_per_s > bound:
        takes = plan.peak_per_s * cpu_ms / 1000 / cores
        said = f"{peak} takes {takes:.0%} of this machine ({cost}) and neighbours use {neighbours_share:.0%} now"
        return Foresight("near", f"{said}; wait until they are done, or the run may come to nothing")
    share = plan.peak_per_s / bound
    said = (
        f"{peak} is {share:.0%} of the {bound:.0f}/s that this machine is expected to hold"
        f" ({cost}; neighbours use {neighbours_share:.0%} now)"
    )
    if share <= WARN_OVER:
        return Foresight("fine", said, share)
    return Foresight("near", f"{said}; close to the knee: the run may come to nothing", share)


def _too_much(peak_per_s: float, alone_per_s: float, highest_per_s: float, cost: str) -> Foresight:
    """More than the machine would hold without any neighbours; loudly where there is ground to say so."""
    share = peak_per_s / alone_per_s
    said = f"peak {peak_per_s:g}/s is {share:.0%} of the {alone_per_s:.0f}/s that this machine holds by itself ({cost})"
    if highest_per_s < BELIEVED_FROM * peak_per_s:
        return Foresight("near", f"{said}; a guess: measured at no more than {highest_per_s:.0f}/s", share)
    advice = "MORE THAN IT HOLDS: expect a baseline that fails. Lower --set load.peak_per_s"
    return Foresight("over", f"{said}; {advice}", share)


def measured(plan: Plan, verdict: Verdict, cores: int, wall: str) -> Held | None:
    """What a run showed; None where it does not count, or its baseline missed an objective."""
    baseline = next((phase for phase in verdict.phases if phase.name == "baseline"), None)
    cost = verdict.cost
    well = all(one.outcome is Outcome.PASS for one in verdict.objectives if one.phase == "baseline")
    if not verdict.valid or not well or baseline is None or not cost.cpu_ms_per_order:
        return None
    duration_s = baseline.end_s - baseline.start_s
    if duration_s <= 0 or not baseline.offered:
        return None
    per_s = round(baseline.offered / duration_s, 2)
    return Held(wall, plan.name, per_s, cost.cpu_ms_per_order, cores, cost.neighbours_busy_share or 0.0)


def key_of(plan: Plan, project: Path) -> str:
    """One machine, project, design, runtime and scenario."""
    return " · ".join(
        (_machine(), str(project.resolve()), plan.design.metadata.name, plan.runtime, plan.scenario or "-")
    )


def recall(plan: Plan, project: Path) -> tuple[tuple[Held, ...], str]:
    """What is known, and a word where what was kept can't be read: it is as if nothing were known then."""
    book, problem = _read(_path())
    return book.held.get(key_of(plan, project), ()), problem


def remember(plan: Plan, verdict: Verdict, project: Path) -> str:
    """Keep what a run showed. Returns "" or why it could not be kept: no reason to do anything else."""
    held = measured(plan, verdict, os.cpu_count() or 1, datetime.now(UTC).isoformat(timespec="seconds"))
    if held is None:
        return ""
    path, key = _path(), key_of(plan, project)
    book, _ = _read(path)
    kept = dict(book.held)
    kept[key] = _worth_keeping((*kept.pop(key, ()), held))
    for oldest in list(kept)[:-KEPT_KEYS]:
        del kept[oldest]
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.write_bytes(msgspec.json.encode(Book(held=kept)))
        partial.replace(path)
    except OSError as problem:
        return f"what this machine held can't be kept ({path}: {problem.strerror})"
    return ""


def _worth_keeping(rows: tuple[Held, ...]) -> tuple[Held, ...]:
    """The latest, and the highest rate however long ago it was."""
    latest, older = rows[-KEPT_EACH:], rows[:-KEPT_EACH]
    best = max(rows, key=lambda held: held.per_s)
    return (best, *latest[1:]) if best in older else latest


def _path() -> Path:
    return state_home() / "capacity.json"


def _read(path: Path) -> tuple[Book, str]:
    try:
        with path.open("rb") as file:
            book = msgspec.json.decode(file.read(MAX_BYTES), type=Book)
    except FileNotFoundError:
        return Book(), ""
    except (OSError, msgspec.DecodeError) as problem:
        return Book(), f"what this machine held before can't be read and is ignored ({path}: {problem})"
    if book.format != FORMAT:
        return Book(), f"what this machine held before is of another format and is ignored ({path}: {book.format})"
    return book, ""


def _machine() -> str:
    """Not its name: cores, memory, and a number that changes with an installation."""
    try:
        identity = Path("/etc/machine-id").read_bytes()
    except OSError:
        identity = b""
    memory_mib = (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) >> 20
    return f"{os.cpu_count()} cores, {memory_mib} MiB, {hashlib.sha256(identity).hexdigest()[:8]}"
