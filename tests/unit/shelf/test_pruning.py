"""What may go and what stays."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crashcart.model.errors import UsageError
from crashcart.model.topology import ProcessRef
from crashcart.processes import boot_id
from crashcart.safety.active import ActiveRun, register
from crashcart.shelf.pruning import Rule, parse_age_s, plan_prune, prune
from tests.unit.shelf.made import a_verdict, open_fault_log, record

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAYS = [f"202611{day:02d}T080000Z-{day:04d}" for day in range(1, 23)]
DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    for day in DAYS[-5:]:
        record(folder, day, a_verdict())
    record(folder, DAYS[0], a_verdict(), experiment="rare")
    return folder


def going(runs: Path, rule: Rule) -> list[str]:
    return sorted(f"{one.path.parent.name}/{one.path.name}" for one in plan_prune(runs, rule, NOW).going)


def test_the_newest_of_each_experiment_stay(runs: Path) -> None:
    assert going(runs, Rule(keep=3)) == [f"shelf-gone/{day}" for day in DAYS[-5:-3]]


def test_what_is_young_stays(runs: Path) -> None:
    assert going(runs, Rule(older_than_s=2.5 * DAY_S)) == [f"shelf-gone/{day}" for day in DAYS[-5:-3]]


def test_both_rules_must_let_go(runs: Path) -> None:
    assert going(runs, Rule(keep=1, older_than_s=3.5 * DAY_S)) == [f"shelf-gone/{DAYS[-5]}"]


def test_the_latest_of_an_experiment_never_goes_however_old(runs: Path) -> None:
    plan = plan_prune(runs, Rule(older_than_s=1.0), NOW)
    assert all(one.path.parent.name != "rare" for one in plan.going)
    assert [one.why for one in plan.staying if one.path.parent.name == "rare"] == ["the latest of its experiment"]


def test_the_latest_that_was_judged_stays_also_where_a_later_one_was_cut_short(runs: Path) -> None:
    (runs / "shelf-gone" / DAYS[-1] / "verdict.json").unlink()
    assert going(runs, Rule(keep=1)) == [f"shelf-gone/{day}" for day in DAYS[-5:-2]]


def test_what_may_still_be_broken_never_goes(runs: Path) -> None:
    first, second, third, fourth, _ = (runs / "shelf-gone" / day for day in DAYS[-5:])
    (first / "faultlog.jsonl").write_text(open_fault_log(), encoding="utf-8")
    (second / "faultlog.jsonl").write_text("not a record\n", encoding="utf-8")
    me = ProcessRef(os.getpid(), 0, boot_id())
    register(ActiveRun(third.name, boot_id(), me, "", str(third)))
    plan = plan_prune(runs, Rule(keep=1), NOW)
    assert [one.path for one in plan.going] == [fourth]
    assert {one.path: one.why for one in plan.staying} == {
        first: "its fault log is open: f1 toxiproxy/down on door[0].shelf[0]",
        second: "its fault log can't be read: something may still be broken",
        third: "it is under way, or not recovered",
    }


def test_what_latest_points_to_never_goes(runs: Path) -> None:
    (runs / "latest").symlink_to(f"shelf-gone/{DAYS[-4]}")
    assert f"shelf-gone/{DAYS[-4]}" not in going(runs, Rule(keep=1))


def test_what_goes_is_gone_and_counted_and_nothing_else(runs: Path) -> None:
    outside = runs.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("", encoding="utf-8")
    (runs / "shelf-gone" / "20261101T080000Z-link").symlink_to(outside)
    (runs / "notes").mkdir()
    (runs / "notes" / "mine").mkdir()
    plan = plan_prune(runs, Rule(keep=2), NOW)
    sizes = sum(path.stat().st_size for one in plan.going for path in one.path.rglob("*") if path.is_file())
    assert prune(plan) == plan.bytes == sizes > 0
    assert sorted(path.name for path in (runs / "shelf-gone").iterdir() if not path.is_symlink()) == DAYS[-2:]
    assert (outside / "precious").exists()
    assert (runs / "notes" / "mine").is_dir(), "what is no recording is somebody's"
    assert (runs / "rare" / DAYS[0]).is_dir()


def test_the_last_two_suites_never_go(runs: Path) -> None:
    for day in DAYS[:4]:
        (runs / "suites" / day).mkdir(parents=True)
    assert [name for name in going(runs, Rule(keep=1)) if name.startswith("suites")] == [
        f"suites/{day}" for day in DAYS[:2]
    ]


@pytest.mark.parametrize(("text", "age_s"), [("14d", 14 * DAY_S), ("36h", 129_600.0), ("90m", 5_400.0)])
def test_an_age_is_a_number_and_a_unit(text: str, age_s: float) -> None:
    assert parse_age_s(text) == age_s


@pytest.mark.parametrize("text", ["", "14", "d", "-3d", "1.5d", "²d", "two days"])
def test_anything_else_is_no_age(text: str) -> None:
    with pytest.raises(UsageError, match="is not an age"):
        parse_age_s(text)
