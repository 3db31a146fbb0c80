"""What `crashcart selftest` refuses, before anything is started, and what it says that it has left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crashcart.loading import Project, open_project
from crashcart.model.errors import ExitStatus
from crashcart.selftest import alarms, deriving, fire
from crashcart.selftest.alarms import Quiet
from crashcart.selftest.campaign import Campaign, carry_out
from crashcart.selftest.fired import Fired
from crashcart.selftest.launching import make_bench
from crashcart.selftest.striking import TARGETS
from crashcart.selftest.telling import what_is_left_out

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fire", "1", "--experiment", "steady-state"), "steady-state has no fault"),
        (("--a-a", "1", "--experiment", "steady"), "there is no experiment 'steady'"),
        (("--a-a", "1", "--set", "load.peak_per_s"), "says no value"),
        (("--a-a", "0"), "0 is not in the range"),
        (("--a-a", "1", "--only", "rounding"), "say --defects, too"),
    ],
)
def test_what_can_not_be_tried_is_one_clear_error(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crashcart", "selftest", *arguments, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == ExitStatus.USAGE, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "runs").exists(), "nothing was started"


def _ended(project: Project, out: Path) -> None:
    """A selftest of the small size, all of whose runs were made before and came to nothing bad."""
    same = {"overrides": "", **make_bench(project, out).same}
    steady, broken = deriving.steady_one(project), deriving.shortest_on_a_link(project)
    quiet = [f"{number:03}-{'plain' if number % 2 else 'noop'}" for number in range(1, 5)]
    carry_out(
        Campaign(
            alarms.NAME,
            {"experiment": steady, **same},
            tuple(quiet),
            Quiet,
            lambda case: Quiet(
                line="", outcome="pass", kind=case[4:], status=0, took_s=9.0, neighbours_busy_share=None
            ),
        ),
        out,
        lambda _: None,
    )
    under_fire = {"experiment": broken, "seed": "1", **same}
    lives = dict.fromkeys(TARGETS, (1.0, 8.0))
    calm = fire.Calm(line="", took_s=9.0, lives=lives)
    carry_out(Campaign("fire-calm", under_fire, ("calm",), fire.Calm, lambda _: calm), out, lambda _: None)
    kinds = {fire._case(number, *kind): kind for number, kind in fire._in_turn(16)}

    def hit(case: str) -> Fired:
        target, deed = kinds[case]
        return Fired(
            line="",
            recording="runs/1",
            target=target,
            deed=deed,
            at_s=3.0,
            stopped_s=0.0,
            status=0,
            outcome="pass",
            why_no_pass="",
            clean_after_s=0.1,
            left=(),
            not_looked_at=(),
        )

    carry_out(Campaign(fire.NAME, under_fire, tuple(kinds), Fired, hit), out, lambda _: None)


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ((), "left out: planted defects (there are none: see --defects) and the soak (--soak 30)"),
        (("--a-a", "4", "--fire", "16"), "0 passed that must not."),
    ],
)
def test_where_no_part_is_named_its_last_line_says_what_it_left_out(
    tmp_path: Path, arguments: tuple[str, ...], last: str
) -> None:
    project = open_project(ROOT / "tests" / "projects" / "tiny")
    _ended(project, tmp_path / "out")
    command = [sys.executable, "-m", "crashcart", "--project", str(project.root), "selftest", *arguments]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == ExitStatus.PASS, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == last
    assert not (tmp_path / "out" / "runs").exists(), "all had been done before"


def test_what_the_shop_has_planted_is_named_where_it_was_left_out() -> None:
    assert (
        what_is_left_out(plants=True, soak_min=30) == "left out: planted defects (--defects) and the soak (--soak 30)"
    )
