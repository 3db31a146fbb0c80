"""A soak: the peak lasts, and nothing is done. No promise may be missed, and nothing may need more and more memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import median

import msgspec

from crashcart.loading import Project
from crashcart.model.design import Design
from crashcart.model.errors import ExitStatus
from crashcart.model.recording import FILES
from crashcart.model.verdict import Outcome
from crashcart.selftest.alarms import why_no_pass
from crashcart.selftest.campaign import Campaign, CaseResult, carry_out
from crashcart.selftest.deriving import write_lasting
from crashcart.selftest.events import events_of
from crashcart.selftest.launching import RUN_WITHIN_S, Bench, Ran, heed_abort, outcome_of, run_to_end
from crashcart.selftest.telling import Report

NAME = "soak"
FULL_MIN = 30
LEAST_SAMPLES = 6
"""Of a part's memory in the second half: fewer tell nothing of a slope."""
FORGETS_MIB_PER_H = 30.0
"""Who answers and forgets, and grows by more, is not flat: a fifth of a kilobyte kept of each purchase at 40/s."""
KEEPS_MIB_PER_H = 256.0
"""Who is there to keep things in memory may grow by so much: two kilobytes of each purchase."""


class Growth(msgspec.Struct, frozen=True):
    """A part's private memory in the second half of the soak, in MiB."""

    first: float
    last: float
    per_h: float
    """Its slope."""
    samples: int


class Soaked(CaseResult, frozen=True, kw_only=True):
    """What came of one soak."""

    minutes: int
    status: int
    outcome: str
    """The verdict's; `none` where there is none."""
    parts: dict[str, Growth]


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of one part at one moment."""

    t_s: float
    mib: float


def soak(
    bench: Bench, project: Project, experiment: str, minutes: int, overrides: Sequence[str], tell: Callable[[str], None]
) -> Report:
    """Run the experiment's steady state for so long."""
    steady = project.experiment(experiment, overrides)
    file = write_lasting(steady, minutes, bench.out / "experiments")
    keeping = keepers(project.design(steady.experiment.design))
    asked = {"experiment": experiment, "overrides": " ".join(overrides), **bench.same}
    campaign = Campaign(NAME, asked, (f"{minutes:03}-minutes",), Soaked, partial(_run, bench, file, minutes, keeping))
    return report_on(carry_out(campaign, bench.out, tell))


def keepers(design: Design) -> frozenset[str]:
    """Services, and Prometheus, that keep in memory what they are told: a store, and outsiders with their own books."""
    return frozenset(
        {"prometheus", *(name for name, one in design.services.items() if one.outside or one.kind == "valkey")}
    )


def _run(bench: Bench, file: Path, minutes: int, keeping: frozenset[str], case: str) -> Soaked:
    within_s = RUN_WITHIN_S + 2 * 60.0 * minutes
    ran = run_to_end(bench, f"{NAME}-{case}", str(file), within_s=within_s)
    heed_abort(ran)
    parts = growth_of(read_memory(ran.recording)) if ran.recording is not None else {}
    return judge_soak(bench, case, minutes, ran, parts, keeping)


def read_memory(recording: Path) -> dict[str, list[Sample]]:
    """What each part held, from the recording's events."""
    held: dict[str, list[Sample]] = {}
    for event in events_of(recording / FILES["events"]):
        if event.event == "memory":
            for part, mib in event.data["private_mib"].items():
                held.setdefault(part, []).append(Sample(event.t, float(mib)))
    return held


def growth_of(held: Mapping[str, Sequence[Sample]]) -> dict[str, Growth]:
    """Of each part, in the second half: the first is what it takes to fill pools and caches."""
    last_s = max((sample.t_s for samples in held.values() for sample in samples), default=0.0)
    return {part: _growth([one for one in samples if one.t_s >= last_s / 2]) for part, samples in held.items()}


def _growth(samples: Sequence[Sample]) -> Growth:
    if not samples:
        return Growth(0.0, 0.0, 0.0, 0)
    return Growth(samples[0].mib, samples[-1].mib, round(slope_per_s(samples) * 3600, 1), len(samples))


def slope_per_s(samples: Iterable[Sample]) -> float:
    """Theil and Sen's: the median of the slopes between any two, which a single leap does not move (JASA 63, 1968)."""
    slopes = [(b.mib - a.mib) / (b.t_s - a.t_s) for a, b in combinations(samples, 2) if b.t_s > a.t_s]
    return median(slopes) if slopes else 0.0


def judge_soak(
    bench: Bench, case: str, minutes: int, ran: Ran, parts: Mapping[str, Growth], keeping: frozenset[str] = frozenset()
) -> Soaked:
    """What must not be: anything but a pass, a part that grows, memory that was not looked at."""
    verdict = ran.verdict
    outcome = outcome_of(verdict)
    found = [f"{case}: {what}" for what in _not_flat(parts, keeping)]
    if ran.status != ExitStatus.PASS or outcome != Outcome.PASS.value:
        found.insert(0, f"{case}: {outcome}, exit status {ran.status}: {why_no_pass(verdict, ran)}")
    fastest = max(parts.items(), key=lambda part: part[1].per_h, default=None)
    grew = "" if fastest is None else f", fastest {fastest[0]} by {fastest[1].per_h:.0f} MiB/h"
    return Soaked(
        line=f"{outcome}{grew}",
        found=tuple(found),
        recording=bench.inside(ran.recording),
        minutes=minutes,
        status=ran.status,
        outcome=outcome,
        parts=dict(parts),
    )


def _not_flat(parts: Mapping[str, Growth], keeping: frozenset[str]) -> Iterable[str]:
    if not parts:
        yield "nobody's memory was looked at"
    for part, growth in parts.items():
        if growth.samples < LEAST_SAMPLES:
            yield f"{part}: {growth.samples} looks at its memory tell nothing, {LEAST_SAMPLES} would"
        elif growth.per_h > (most := KEEPS_MIB_PER_H if part.partition("[")[0] in keeping else FORGETS_MIB_PER_H):
            yield f"{part} grows by {growth.per_h:.0f} MiB/h, and {most:.0f} are let pass"


def report_on(results: Mapping[str, Soaked]) -> Report:
    """Each part's memory; the last soak's, where there were several."""
    last = list(results.values())[-1]
    rows = [
        (part, f"{growth.first:.1f} MiB", f"{growth.last:.1f} MiB", f"{growth.per_h:+.1f} MiB/h")
        for part, growth in sorted(last.parts.items(), key=lambda part: -part[1].per_h)
    ]
    return Report(
        title=f"Soak: {last.minutes} minutes at the peak, and nothing is done",
        head=("part", "at half-time", "at the end", "slope"),
        rows=tuple(rows),
        says=tuple(f"{one.minutes} minutes: {one.line}" for one in results.values()),
        found=tuple(what for one in results.values() for what in one.found),
    )
