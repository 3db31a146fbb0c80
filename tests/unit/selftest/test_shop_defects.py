"""Each planted defect fits the shop as it is: what it alters is still there, and the service can be put together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from crashcart.loading import open_project
from crashcart.model.experiment import Experiment
from crashcart.selftest.planted import FOLDER, read_planted

ROOT = Path(__file__).parents[3]
PROJECT = open_project(ROOT)
PLANTED = read_planted(ROOT / FOLDER, PROJECT)
TRIAL = """\
import importlib, sys
defect, clean = importlib.import_module(sys.argv[1]), sys.argv[2]
defect.alter()
service = importlib.import_module(clean)
assert service.build().name
print(defect.__doc__)
"""


@pytest.mark.parametrize("name", PLANTED.defects)
def test_it_says_what_it_alters_and_the_shop_still_has_that(tmp_path: Path, name: str) -> None:
    defect = PLANTED.defects[name]
    service = PROJECT.design("reference").services[defect.service]
    module, clean = defect.command[-1], service.command[-1]
    links = {f"LINK_{link.upper().replace('-', '_')}": "http://127.0.0.1:9" for link in service.links}
    if (ROOT / clean.replace(".", "/")).is_dir():
        clean = f"{clean}.app"
    done = subprocess.run(
        [sys.executable, "-c", TRIAL, module, clean],
        cwd=ROOT,
        env={**os.environ, **links, "DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    [said] = done.stdout.strip().splitlines()
    assert said.endswith(".")
    assert len(said) > 40, "a sentence that says what is wrong"


def test_every_file_is_declared_and_every_declaration_has_its_file() -> None:
    declared = {defect.command[-1] for defect in PLANTED.defects.values()}
    files = {f"tests.defects.{path.stem}" for path in (ROOT / FOLDER).glob("*.py")}
    assert declared == files - {"tests.defects.__init__", "tests.defects.planting"}


def test_the_page_about_them_has_each_with_its_experiment_and_its_check() -> None:
    page = (ROOT / "docs" / "93-planted-defects.md").read_text(encoding="utf-8")
    for defect in PLANTED.defects.values():
        experiment = PLANTED.settings[defect.shown_by].experiment
        link = f"[`{experiment}`](experiments/{experiment}.md)"
        assert f"| {defect.is_} | {defect.service} | {link} | `{defect.caught_by}` |" in page


def _asked(experiment: Experiment, check: str) -> object:
    """What the experiment expects there; None where it does not."""
    kind, _, rest = check.partition("/")
    if kind == "invariant":
        return experiment.expect.always
    if kind == "recovery":
        return experiment.expect.recovery
    slo, phase, *_ = rest.split("/")
    expected = {"baseline": experiment.expect.baseline, "fault": experiment.expect.fault}[phase]
    return next((one for one in expected if one.slo == slo), None)


def test_the_page_names_each_that_is_caught_by_what_its_committed_experiment_does_not_ask_just_so() -> None:
    otherwise, kinds = set(), Counter[str]()
    for name, defect in PLANTED.defects.items():
        setting = PLANTED.settings[defect.shown_by]
        committed, shortened = (PROJECT.experiment(setting.experiment, how).experiment for how in ((), setting.set))
        if _asked(committed, defect.caught_by) != _asked(shortened, defect.caught_by):
            otherwise.add(name)
        else:
            kinds[defect.caught_by.partition("/")[0]] += 1
    assert otherwise == {"breaker-never-trips", "breaker-never-closes"}
    assert PROJECT.experiment("checkout-hangs", ()).experiment.expect.recovery is not None
    page = (ROOT / "docs" / "93-planted-defects.md").read_text(encoding="utf-8")
    assert f"{kinds['invariant']} by an invariant, {kinds['slo']} by an objective |" in page
    for name in otherwise:
        assert f"| *{PLANTED.defects[name].is_}*: " in page


def test_the_page_has_every_setting() -> None:
    page = (ROOT / "docs" / "93-planted-defects.md").read_text(encoding="utf-8")
    table = page[page.index("| setting | of |") :].split("\n\n")[0]
    assert [name for name in PLANTED.settings if f"`{name}`" not in table] == []
    assert [one.experiment for one in PLANTED.settings.values() if f"`{one.experiment}`" not in table] == []
