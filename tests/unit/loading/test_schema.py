"""The schema that editors use says the same as the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from crashcart.faults import registry
from crashcart.loading import open_project
from crashcart.schema import schema_text

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "experiments" / "experiment.schema.json"
DEMO = (ROOT / "experiments" / "third-party" / "card-processor-outage-at-peak.yaml").read_text(encoding="utf-8")


def _errors(text: str) -> list[str]:
    schema: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(yaml.safe_load(text))]


def test_the_committed_schema_is_what_the_model_says() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text(registry(), open_project(ROOT).fault_kinds), (
        "crashcart schema > that file"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_of_the_repository_fits_it(path: Path) -> None:
    assert _errors(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("design: reference", "desing: reference"),
        ("warmup: 10s", "warmup: 10 seconds"),
        ("warmup: 10s, ", ""),
        ("toxiproxy/down", "toxiproxy/dwon"),
        ("link: payments.psp-a", "lnk: payments.psp-a"),
        ("    for: 20s\n", ""),
        ("peak_per_s: 40", "peak_per_s: forty"),
        ("kind: Experiment", "kind: Experimant"),
    ],
)
def test_what_the_loader_refuses_it_refuses(good: str, bad: str) -> None:
    assert good in DEMO
    assert _errors(DEMO.replace(good, bad, 1)) != []
