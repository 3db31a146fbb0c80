"""What containers cost beside processes: to boot and end the shop, CPU of an order, the harness's memory, an image."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

import msgspec
from rich.console import Console

from crashcart.loading import open_project
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.wiring.runtimes import RUNTIMES, Readied, ready_runtime
from tests.bench.harness import measure_harness
from tests.bench.recordings import measure_run

DESIGN = "reference"
BOOTS = 5
PEAK_PER_S = 30.0
OUTAGE_PER_S = 40.0
"""The least at which the outage has enough events."""
LIMIT_BOOT = 3.0
"""Times the local runtime's."""
LIMIT_CPU = 1.25
LIMIT_TEAR_DOWN_S = 5.0
LIMIT_RSS_MIB = 200
LIMIT_IMAGE_MB = 150


class RuntimeFigures(msgspec.Struct, frozen=True):
    """Of one runtime, measured in turn with the other."""

    boot_s: float
    """From nothing to ready, its images or programs being there: the median of `BOOTS`."""
    tear_down_s: float
    cpu_ms_per_order: float
    neighbours: float
    """Share of the machine that others used while CPU was counted."""


class RuntimesFigures(msgspec.Struct, frozen=True):
    """Both, and what only containers have."""

    local: RuntimeFigures
    docker: RuntimeFigures
    harness_rss_mib: float
    """Of a run in containers, at its end."""
    image_mb: float
    """The shop's, with its base."""
    own_mb: float
    """Of that, what is not the base."""


def measure_runtimes(root: Path, out: Path, console: Console) -> RuntimesFigures | None:
    """Boot the shop on both in turn, then run it on both. None where no engine answers."""
    project = open_project(root)
    design = project.design(DESIGN)
    try:
        readied = {name: ready_runtime(name, project, (design,), console.print) for name in RUNTIMES}
    except UsageError as error:
        console.print(f"containers are left out: {error}", markup=False)
        return None
    boots: dict[str, list[tuple[float, float]]] = {name: [] for name in RUNTIMES}
    for number in range(BOOTS + 1):
        for name in RUNTIMES:
            console.print(f"boot {number} of {BOOTS}: {name} …")
            boots[name].append(_boot_once(root, design, readied[name]))
    figures = {name: _figures(root, out, name, boots[name][1:]) for name in RUNTIMES}
    harness = measure_harness(root, out, peak_per_s=OUTAGE_PER_S, baseline_s=20, runtime="docker")
    image_mb, base_mb = _image_sizes(root, readied["docker"])
    return RuntimesFigures(
        figures["local"], figures["docker"], harness.rss_mib, round(image_mb, 1), round(image_mb - base_mb, 1)
    )


def _boot_once(root: Path, design: Design, readied: Readied) -> tuple[float, float]:
    """Seconds to boot, seconds to end."""
    with tempfile.TemporaryDirectory(prefix="crashcart-bench-") as folder:
        stack = readied.runtime.start(
            design,
            run_id=f"bench-{uuid.uuid4().hex[:8]}",
            project_dir=root,
            log_dir=Path(folder),
            extra_scrapes={},
            progress=lambda _: None,
        )
        began = time.monotonic()
        stack.stop()
        return stack.boot_s, time.monotonic() - began


def _figures(root: Path, out: Path, runtime: str, boots: list[tuple[float, float]]) -> RuntimeFigures:
    run = measure_run(root, out, PEAK_PER_S, baseline_s=30, runtime=runtime)
    return RuntimeFigures(
        round(statistics.median(boot for boot, _ in boots), 2),
        round(statistics.median(end for _, end in boots), 2),
        round(run.cpu_ms_per_order or 0.0, 2),
        run.neighbours or 0.0,
    )


def _image_sizes(root: Path, readied: Readied) -> tuple[float, float]:
    """The shop's image and its base, in MB as the engine counts them."""
    from crashcart.images import connect
    from crashcart.images.parts import size_of
    from crashcart.loading.images import load_images

    images = load_images(open_project(root), os.environ)
    with closing(connect()) as client:
        sizes = [size_of(client, image) for image in (readied.versions["process"], images.parts["python"])]
    assert None not in sizes
    shop, base = (size / 1e6 for size in sizes if size is not None)
    return shop, base


def runtime_rows(one: RuntimesFigures | None) -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for people."""
    if one is None:
        return [("containers", "no engine", "")]
    here, there = one.local, one.docker
    boot, cpu = there.boot_s / here.boot_s, there.cpu_ms_per_order / here.cpu_ms_per_order
    near = f"neighbours {here.neighbours:.0%} and {there.neighbours:.0%}"
    return [
        (
            "boot in containers, beside processes",
            f"{there.boot_s:.1f} : {here.boot_s:.1f} s, {boot:.1f} ×",
            f"≤ {LIMIT_BOOT:g} ×",
        ),
        ("tear-down of containers", f"{there.tear_down_s:.1f} s", f"≤ {LIMIT_TEAR_DOWN_S:g} s"),
        (
            f"CPU per order in containers, beside processes ({near})",
            f"{there.cpu_ms_per_order:.1f} : {here.cpu_ms_per_order:.1f} ms, {cpu:.2f} ×",
            f"≤ {LIMIT_CPU:g} ×",
        ),
        ("harness's memory, run in containers", f"{one.harness_rss_mib:.0f} MiB", f"≤ {LIMIT_RSS_MIB} MiB"),
        (f"the shop's image, {one.own_mb:g} MB of it on its base", f"{one.image_mb:g} MB", f"≤ {LIMIT_IMAGE_MB} MB"),
    ]


def main() -> int:
    """This one alone: `python -m tests.bench.runtimes`, about five minutes."""
    root = Path(__file__).parents[2]
    out = root / "runs" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    figures = measure_runtimes(root, out, Console(highlight=False, stderr=True))
    console = Console(highlight=False)
    for what, measured, wanted in runtime_rows(figures):
        console.print(f"{what:70} {measured:>28} {wanted}", markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
