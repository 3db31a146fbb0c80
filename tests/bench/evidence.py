"""What each kind of fault did in whole runs, declared against measured, on every runtime that can have it.

`python -m tests.bench.evidence` makes the runs (about ten minutes with a Docker engine) and writes the page
`docs/38-measured-evidence.md`. It ends with 1 where a fault was not shown or is not what was declared
(`tests/bench/bounds.py`), or a kind is missing.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import yaml

from crashcart.faults import decode_settings, registry
from crashcart.faults.toxiproxy_latency import Settings as Latency
from crashcart.judging.judge import judge
from crashcart.judging.looking import Glance, Probe, Samples, read_samples
from crashcart.judging.tape import open_tape
from crashcart.judging.windows import Times, Window, times_of, window_of
from crashcart.model.plan import Plan, PlannedFault
from crashcart.model.verdict import EvidenceResult
from crashcart.wiring.runtimes import RUNTIMES
from tests.bench.bounds import by_chance, trouble
from tests.e2e import (
    test_faults_of_containers,
    test_faults_of_databases,
    test_faults_of_hosts,
    test_faults_on_links,
)
from tests.e2e.conftest import ROOT, TINY

PAGE = ROOT / "docs" / "38-measured-evidence.md"
CONTAINERS_ONLY = frozenset({"service/cpu-limit", "service/memory-limit", "network/partition", "network/loss"})
MORE_LINKS = [
    {"toxiproxy/latency": {"link": "payments.payments-db", "latency": "150ms"}, "at": "10s", "for": "8s"},
    {"noop": {"link": "storefront.cart"}, "at": "20s", "for": "8s"},
    {"toxiproxy/down": {"link": "payments.psp-a"}, "at": "30s", "for": "8s"},
]
"""Beside those of the tests' experiment."""
HEAD = """\
# What faults were measured to do

The bounds that tests hold stand in [37 Evidence, kind by kind](37-evidence.md). Here are figures of whole runs, each
fault under load and with others before, after or beside it: what was declared, and what the run's own evidence saw of
it. `python -m tests.bench.evidence` makes these runs on every runtime, and this page; it ends with 1 where a fault was
not shown, or a figure is not the declared one within those bounds. A test reads the page and says the same.
Made {date}, on {cores} cores.

| kind | declared | as processes | in containers |
|---|---|---|---|
"""
FOOT = """
A latency with a jitter is drawn anew for each answer, evenly: the median of so few draws lies anywhere in the interval
that stands beside it, which chance leaves in one of a thousand such runs. Of a share that is counted, the exact
binomial interval must hold the declared one, and not half of it.

*Outside* is the same run while the fault was not there. Where a fault has several proxies, the figures are of the one
at which it did least. *Later* is the median of what probes through the proxy took longer than those beside it, and so
has the delays of both in it. Probes that were answered only when the fault had gone are left out.
"""


class Row(msgspec.Struct, frozen=True):
    """One fault of one run."""

    kind: str
    declared: str
    measured: str
    ok: bool


def main() -> int:
    """Make the runs, write the page."""
    told: dict[tuple[str, str], dict[str, Row]] = {}
    for runtime in sys.argv[1:] or RUNTIMES:
        for row in _measured(runtime):
            print(runtime, *msgspec.structs.astuple(row), sep=" | ", flush=True)  # noqa: T201
            told.setdefault((row.kind, row.declared), {})[runtime] = row
    PAGE.write_text(page(told, datetime.now(UTC)), encoding="utf-8")
    lacking = set(registry()) - {kind for kind, _ in told}
    measured = [row for rows in told.values() for row in rows.values()]
    wrong = [f"{row.declared}: {why}" for row in measured if (why := trouble(row.kind, row.declared, row.measured))]
    for said in [*wrong, *(f"{kind} is in none of the runs" for kind in sorted(lacking))]:
        print(said, file=sys.stderr)  # noqa: T201
    return 1 if lacking or wrong else 0


def page(told: Mapping[tuple[str, str], Mapping[str, Row]], when: datetime) -> str:
    """Markdown."""
    lines = []
    for (kind, declared), rows in sorted(told.items()):
        cells = [rows[runtime].measured if runtime in rows else "" for runtime in ("local", "docker")]
        if kind in CONTAINERS_ONLY:
            cells[0] = "—"
        lines.append(f"| `{kind}` | {declared} | {' | '.join(cell or 'not measured' for cell in cells)} |\n")
    return HEAD.format(date=when.strftime("%-d %B %Y"), cores=os.cpu_count()) + "".join(lines) + FOOT


def _measured(runtime: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="crashcart-evidence-") as made:
        folder = Path(made)
        links = yaml.safe_load(test_faults_on_links.EXPERIMENT)
        links["faults"] += MORE_LINKS
        links["timeline"]["fault"] = "40s"
        texts = {"links": yaml.safe_dump(links, sort_keys=False), "databases": test_faults_of_databases.EXPERIMENT}
        for name, text in texts.items():
            file = folder / f"{name}.yaml"
            file.write_text(text, encoding="utf-8")
            yield from _rows(_run(ROOT, file, runtime, folder / name))
        yield from _rows(
            _run(
                TINY,
                Path(test_faults_of_hosts.written(folder, "tiny-disk", "34s", test_faults_of_hosts.FAULTS)),
                runtime,
                folder / "hosts",
            )
        )
        if runtime == "docker":
            file = Path(test_faults_of_hosts.written(folder, "tiny", "42s", test_faults_of_containers.FAULTS))
            yield from _rows(_run(TINY, file, runtime, folder / "containers"))


def _run(project: Path, file: Path, runtime: str, out: Path) -> Path:
    command = (sys.executable, "-m", "crashcart", "--project", str(project), "run", str(file), "--yes")
    done = subprocess.run(
        [*command, "--runtime", runtime, "--out", str(out)], cwd=ROOT, check=False, stdout=subprocess.DEVNULL
    )
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{file.name} on {runtime} ended with exit status {done.returncode}")
    return (out / "latest").resolve()


def _rows(recording: Path) -> Iterator[Row]:
    results = {one.fault: one for one in judge(recording).evidence}
    with open_tape(recording) as tape:
        samples = read_samples(tape)
        windows = {fault.id: window_of(tape, fault) for fault in tape.plan.faults}
        for fault in tape.plan.faults:
            result = results[fault.id]
            seen = _seen(fault, tape.plan, windows, samples, result) if result.ok else f"**not shown**: {result.detail}"
            yield Row(fault.kind, fault.title, seen, result.ok)


def _seen(
    fault: PlannedFault, plan: Plan, windows: Mapping[str, Window], samples: Samples, result: EvidenceResult
) -> str:
    def times(seen: str) -> Times:
        return times_of(fault, windows, plan.faults, seen)

    if fault.effect.measure == "counted":
        return result.detail.partition(";")[0]
    if fault.effect.measure == "observed":
        return _observed(samples.glances[fault.id], times(fault.id))
    told = [_probed(fault, samples.probes[proxy], times(proxy)) for proxy in fault.watched]
    return min(told)[1]


def _observed(glances: Sequence[Glance], times: Times) -> str:
    inside = [one for one in glances if times.within(one.t) is not None]
    outside = [one for one in glances if times.outside(one.t)]
    there, elsewhere = (f"{sum(one.there for one in some)} of {len(some)}" for some in (inside, outside))
    told = f"seen in {there} looks, outside in {elsewhere}"
    if of := sum(one.whole for one in inside):
        told += f"; {sum(one.part for one in inside):,} of {of:,} counted"
    values = [[one.value for one in some if one.value is not None] for some in (inside, outside)]
    if not all(values):
        return told
    inner, outer = (f"{statistics.median(some):,.3f}".rstrip("0").rstrip(".") for some in values)
    return f"{told}; median {inner}, outside {outer}"


def _probed(fault: PlannedFault, probes: Sequence[Probe], times: Times) -> tuple[float, str]:
    """How much was done, to be sorted by, and in words."""
    spans = [(one, times.within(one.t)) for one in probes]
    inside = [one for one, until_s in spans if until_s is not None and not one.undecided(until_s)]
    outside = [one for one in probes if times.outside(one.t)]
    well, well_outside = sum(one.through_ok for one in inside), sum(one.through_ok for one in outside)
    match fault.effect.measure:
        case "added-latency":
            later = statistics.median(one.added_ms for one in inside)
            usual = statistics.median(one.added_ms for one in outside)
            told = f"{later:.1f} ms later, outside {usual:.1f} ms ({len(inside)} probes{_drawn(fault, len(inside))})"
            return later, told
        case "throughput":
            rate = statistics.median(one.through_kb_s for one in inside)
            usual = statistics.median(one.through_kb_s for one in outside)
            return -rate, f"{rate:.1f} KB/s, outside {usual:,.0f} KB/s ({len(inside)} answers)"
        case "cut-short":
            longest, whole = max(one.through_bytes for one in inside), max(one.beside_bytes for one in inside)
            return -longest, f"{longest} bytes of {whole} at most ({len(inside)} answers)"
        case "none":
            most = max(abs(one.added_ms) for one in inside)
            return -most, f"no probe more than {most:.1f} ms off its twin ({len(inside)} probes)"
        case "instance-down":
            well = sum(one.beside_ok for one in inside)
            well_outside = sum(one.beside_ok for one in outside)
    told = f"{well} of {len(inside)} probes answered, outside {well_outside} of {len(outside)}"
    if fault.slices:
        on_s = sum(to_s - from_s for from_s, to_s in fault.slices)
        told += f"; on for {100 * on_s / (fault.end_s - fault.start_s):.0f} % of the time"
    return -well, told


def _drawn(fault: PlannedFault, draws: int) -> str:
    """Where the median of delays that vary lies by chance; empty where they do not."""
    kind = registry()[fault.kind]
    settings = decode_settings(kind, fault.settings)
    if not isinstance(settings, Latency) or not settings.jitter:
        return ""
    low_ms, high_ms = by_chance(settings.latency * 1000, settings.jitter * 1000, draws)
    return f"; their median by chance {low_ms:.0f} to {high_ms:.0f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
