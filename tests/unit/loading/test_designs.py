"""Designs: what they may extend, and what may not stand in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.loading.designs import read_design, read_load_program
from crashcart.model.errors import BadFile
from crashcart.model.load import in_scenario

BASE = """\
apiVersion: crashcart/v1
kind: Design
metadata: {name: base}
services:
  door:
    entry: true
    command: [run, door]
    links: [shelf]
    env: {COLOUR: red, SIZE: big}
  shelf: {command: [run, shelf]}
"""

WORSE = """\
apiVersion: crashcart/v1
kind: Design
extends: base
metadata: {name: worse}
services:
  door: {env: {COLOUR: blue}}
"""


def _write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_design_is_laid_over_the_one_it_extends(tmp_path: Path) -> None:
    _write(tmp_path, base=BASE, worse=WORSE)
    design = read_design(tmp_path / "worse.yaml", "stack/designs/worse.yaml")
    assert design.metadata.name == "worse"
    assert design.services["door"].env == {"COLOUR": "blue", "SIZE": "big"}
    assert design.services["door"].command == ("run", "door")
    assert set(design.services) == {"door", "shelf"}


@pytest.mark.parametrize(
    ("good", "bad", "line", "says"),
    [
        ("extends: base", "extends: bas", 3, 'did you mean "base"?'),
        ("extends: base", "extends: worse", 3, "there is no design 'worse'"),
        ("extends: base", "extends: ../base", 3, "there is no design"),
        ("{COLOUR: blue}", "{COLOUR: 7}", 6, "expected text, got 7"),
        ("door: {env", "dor: {env", 6, "services.dor.command is missing"),
        ("{env: {COLOUR: blue}}", "{links: [door]}", 6, "which is no other service"),
        ("{env: {COLOUR: blue}}", "{kind: postgress}", 6, 'did you mean "postgres"?'),
        ("{env: {COLOUR: blue}}", "{replicas: 99}", 6, "not between 1 and 32"),
        ("{env: {COLOUR: blue}}", "{disk_mib: 3}", 6, "not between 16 and 4096"),
    ],
)
def test_what_is_wrong_in_a_design_is_named_with_its_line(
    tmp_path: Path, good: str, bad: str, line: int, says: str
) -> None:
    assert good in WORSE
    _write(tmp_path, base=BASE, worse=WORSE.replace(good, bad))
    with pytest.raises(BadFile) as caught:
        read_design(tmp_path / "worse.yaml", "stack/designs/worse.yaml")
    assert says in str(caught.value)
    assert caught.value.line == line


def test_a_design_extends_one_level_only(tmp_path: Path) -> None:
    _write(tmp_path, base=BASE, worse=WORSE, worst=WORSE.replace("extends: base", "extends: worse"))
    with pytest.raises(BadFile, match="extends another design itself"):
        read_design(tmp_path / "worst.yaml", "stack/designs/worst.yaml")


LOAD = """\
apiVersion: crashcart/v1
kind: Load
command: [run]
purchase_share: 0.5
cohorts:
  network: {visa: 0.9, amex: 0.1}
scenarios:
  night:
    cohorts:
      network: {visa: 0.5, amex: 0.5}
"""


@pytest.mark.parametrize(
    ("good", "bad", "line", "says"),
    [
        (
            "      network: {visa: 0.5, amex: 0.5}",
            "      network: {visa: 0.5, diners: 0.5}",
            10,
            "other values of network",
        ),
        ("      network: {visa: 0.5, amex: 0.5}", "      network: {visa: 0.5, amex: 0.6}", 10, "sum to 1.1"),
        ("      network: {visa: 0.5, amex: 0.5}", "      region: {north: 1}", 10, "other values of region"),
        ("  night:\n", "  night:\n    purchase_share: 2\n", 9, "not in"),
        ("  night:\n", "  night:\n    purchase: 2\n", 9, "purchase"),
    ],
)
def test_a_scenario_that_can_not_be_is_refused_with_its_line(
    tmp_path: Path, good: str, bad: str, line: int, says: str
) -> None:
    file = tmp_path / "load.yaml"
    file.write_text(LOAD, encoding="utf-8")
    assert in_scenario(read_load_program(file, "load.yaml"), "night").cohorts["network"] == {"visa": 0.5, "amex": 0.5}
    file.write_text(LOAD.replace(good, bad), encoding="utf-8")
    with pytest.raises(BadFile, match=says) as caught:
        read_load_program(file, "load.yaml")
    assert caught.value.line == line
