"""Every command in the README and the docs is run, in order, as its reader would; every experiment is planned."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome
from tests.e2e.conftest import ROOT, Demo, Harness, nothing_is_left_of

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NOT_HERE = ("make test", "crashcart run card-processor-outage-at-peak --runtime docker")
"""The first is what runs this; the other is run by `test_runtimes_agree.py`, where its verdict is held against."""
SAME_AS = {"crashcart run card-processor-outage-at-peak": "make demo"}
FAILS = {"crashcart plan slow-inventory-db --set timeline.baseline=2s": 2}
"""Commands that the text shows for their error."""


def _blocks(page: Path, language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _experiments(page: Path) -> list[str]:
    return [block for block in _blocks(page, "yaml") if "kind: Experiment" in block]


def _commands(page: Path) -> list[str]:
    lines = [line for block in _blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [line.removeprefix("$ ").split(" # ")[0].strip() for line in lines]


def _call(shop: Harness, command: str, where: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[0] in ("crashcart", "locust"), f"{command!r}: no rule says how to run this"
    argv = [sys.executable, "-m", *words]
    return subprocess.run(
        argv, env=dict(shop.environment), cwd=where, capture_output=True, text=True, check=False, timeout=120
    )


def _with_commands() -> Iterator[object]:
    for page in PAGES:
        commands = set(_commands(page)) - {"make demo", *NOT_HERE}
        if commands:
            engine = [pytest.mark.docker] if any(one.startswith("crashcart images ") for one in commands) else []
            yield pytest.param(page, id=page.stem, marks=engine)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", list(_with_commands()))
def test_the_commands_of_a_page_do_what_it_says(shop: Harness, page: Path, copy: Path) -> None:
    for command in _commands(page):
        if command in NOT_HERE or SAME_AS.get(command, command) == "make demo":
            continue  # the test below
        if command.startswith("locust "):
            _drive_by_hand(shop, command, copy)
            continue
        done = _call(shop, command, copy)
        assert done.returncode == FAILS.get(command, 0), f"{command}: {done.stdout}{done.stderr}"
        if command in FAILS:
            shown = page.read_text(encoding="utf-8").split(f"$ {command}\n")[1].splitlines()[0].removesuffix(" …")
            assert done.stderr.startswith(shown), "the page shows another error"


def _drive_by_hand(shop: Harness, command: str, where: Path) -> None:
    """A shop that stands, and the command as it is written, against its door, for some seconds."""
    up = _call(shop, "crashcart stack up", where)
    assert up.returncode == 0, up.stderr
    try:
        door = re.search(r"the shop's door: (\S+)", up.stdout)
        assert door is not None, up.stdout
        command = re.sub(r"--host \S+", f"--host {door[1]}", command)
        headless = "" if "--headless" in command else " --headless --run-time 4s"
        done = _call(shop, f"{command}{headless}", where)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"Aggregated\s+[1-9]", done.stdout + done.stderr), "nobody came"
    finally:
        assert _call(shop, "crashcart stack down", where).returncode == 0


@pytest.mark.timeout(300)
def test_the_demo_does_all_the_set_up_and_its_verdict_is_true(shop: Harness, copy: Path, demo: Demo) -> None:
    """`make demo`. The smaller processor takes over, so nothing but its own refused calls tells of the outage."""
    done, recording = demo
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout
    assert f"{recording.path.name}/report.html" in done.stdout.replace("\n", "")
    verdict = recording.verdict
    assert verdict.experiment == "card-processor-outage-at-peak"
    assert verdict.valid
    evidence = verdict.evidence[0]
    assert evidence.ok
    assert evidence.seen_share >= 0.95
    assert evidence.calls >= evidence.min_calls
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is Outcome.PASS
    assert len(verdict.invariants) >= 13
    before = (recording.path / "verdict.json").read_bytes()
    again = _call(shop, "crashcart judge", copy)
    assert again.returncode == 0, again.stderr
    assert (recording.path / "verdict.json").read_bytes() == before, "the same files give the same verdict"
    assert (recording.path / "report.html").stat().st_size < 2_000_000
    assert all(one.outcome is Outcome.PASS and one.examined >= one.min_examined for one in verdict.invariants)
    assert nothing_is_left_of(recording.path.name, 0.1)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if _experiments(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_experiments_of_a_page_can_be_planned(shop: Harness, tmp_path: Path, page: Path) -> None:
    for number, block in enumerate(_experiments(page)):
        path = tmp_path / f"experiment-{number}.yaml"
        path.write_text(block, encoding="utf-8")
        done = shop.call("plan", str(path))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_experiment_has_its_page_and_every_page_its_experiment() -> None:
    experiments = {path.stem: path for path in (ROOT / "experiments").rglob("*.yaml")}
    pages = {path.stem: path for path in (ROOT / "docs" / "experiments").glob("*.md")}
    assert pages.keys() == experiments.keys()
    index = (ROOT / "docs" / "80-the-experiments.md").read_text(encoding="utf-8")
    for name, page in pages.items():
        relative = experiments[name].relative_to(ROOT)
        assert f"](../../{relative})" in page.read_text(encoding="utf-8"), f"{name}: its page links to another file"
        assert f"](experiments/{name}.md)" in index, f"{name} is not in the index"
