"""crashcart tried on itself."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from crashcart.cli.top import cli, console_for, project_of
from crashcart.model.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from crashcart.selftest.telling import Report

SMALL_A_A, SMALL_FIRE = 4, 16


@cli.command()
@click.option("--a-a", "a_a", type=click.IntRange(1), metavar="N", help="Nothing is wrong, N times: does it say so?")
@click.option("--fire", type=click.IntRange(1), metavar="N", help="Parts of the harness are hit in N runs.")
@click.option("--soak", "soak_min", type=click.IntRange(1), metavar="MINUTES", help="The peak lasts: does memory grow?")
@click.option(
    "--defects",
    type=click.Path(path_type=Path),
    is_flag=False,
    flag_value="",
    metavar="[FOLDER]",
    help="Defects are planted in the services: is each caught, by the check that should?  [folder: tests/defects]",
)
@click.option("--only", multiple=True, metavar="DEFECT", help="Of the planted ones; again for more.")
@click.option(
    "--full", is_flag=True, help="All parts: --a-a 60 --fire 200 --soak 30 --defects. Hours; it can be stopped."
)
@click.option("--experiment", help="Which one.  [default: the steady state, and the shortest that breaks a link]")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Another value: load.peak_per_s=20.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the moments of hits.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the results; one of before goes on where it stopped.  [default: a new one below runs/selftest/]",
)
@click.pass_context
def selftest(
    ctx: click.Context,
    /,
    a_a: int | None,
    fire: int | None,
    soak_min: int | None,
    defects: Path | None,
    experiment: str | None,
    out: Path | None,
    **how: Any,
) -> int:
    """Try crashcart on itself: is it quiet when nothing is wrong, and whole whatever befalls it?

    Without a part, false alarms and fire at a small size, and no planted defects and no soak: its last line says so.
    Exit status 0 where nothing was found, 1 where something was.
    """
    from crashcart.selftest import alarms, deriving, planted
    from crashcart.selftest import fire as under_fire
    from crashcart.selftest import soak as soaking
    from crashcart.selftest.defects import find_defects
    from crashcart.selftest.defects import wanted as wanted_in
    from crashcart.selftest.launching import make_bench
    from crashcart.selftest.telling import what_is_left_out

    overrides: tuple[str, ...] = how["overrides"]
    project, console = project_of(ctx), console_for()
    planted_in = defects if defects is not None and defects != Path() else project.root / planted.FOLDER
    plants, left_out = (planted_in / planted.FILE).is_file(), ""
    if how["full"]:
        a_a, fire, soak_min = a_a or alarms.FULL, fire or under_fire.FULL, soak_min or soaking.FULL_MIN
    elif a_a is None and fire is None and soak_min is None and defects is None:
        a_a, fire = SMALL_A_A, SMALL_FIRE
        left_out = what_is_left_out(plants, soaking.FULL_MIN)
    wanted = defects is not None or (how["full"] and plants)
    if how["only"] and not wanted:
        raise UsageError("--only names planted defects, and none are planted", remedy="say --defects, too")
    to_find = wanted_in(project, planted_in, how["only"]) if wanted else None
    bench = make_bench(project, out)

    def tell(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    parts: list[Callable[[], Report]] = []
    if a_a is not None:
        steady = experiment or deriving.steady_one(project)
        parts.append(lambda: alarms.look_for_alarms(bench, project, steady, a_a, overrides, tell))
    if fire is not None:
        broken = experiment or deriving.shortest_on_a_link(project)
        parts.append(lambda: under_fire.endure(bench, project, broken, fire, overrides, tell, seed=how["seed"]))
    if soak_min is not None:
        lasting = experiment or deriving.steady_one(project)
        parts.append(lambda: soaking.soak(bench, project, lasting, soak_min, overrides, tell))
    if to_find is not None:
        parts.append(lambda: find_defects(bench, project, to_find, tell))
    tell(f"results: {bench.out}")
    try:
        with _interrupted_by_any_signal():
            return _carry_out(parts, bench.out, left_out)
    except KeyboardInterrupt:
        tell(f"stopped; what was done is kept. The same command with --out {bench.out} goes on from here")
        return ExitStatus.INTERRUPTED


def _carry_out(parts: list[Callable[[], Report]], out: Path, left_out: str) -> int:
    from crashcart.reporting.files import write_text
    from crashcart.selftest.telling import markdown, render

    found, pages = 0, []
    for part in parts:
        report = part()
        render(report, console_for())
        pages.append(markdown(report))
        write_text(out / "selftest.md", "\n".join(pages))
        found += len(report.found)
    if left_out:
        console_for().print(f"\n{left_out}", markup=False, soft_wrap=True)
    return ExitStatus.FAIL if found else ExitStatus.PASS


@contextmanager
def _interrupted_by_any_signal() -> Iterator[None]:
    """SIGTERM and a terminal that goes away end it as Ctrl-C does, which is heard also where a shell had it ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
