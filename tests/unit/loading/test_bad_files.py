"""Every bad file is one error with file, line and remedy, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.loading import ExperimentFile, read_experiment
from crashcart.loading.overrides import overridden
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import BadFile, UsageError

GOOD = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: tiny, title: Tiny}
hypothesis: Nothing happens.
design: reference
load: {profile: steady, peak_per_s: 40, seed: 7}
timeline: {warmup: 10s, baseline: 20s, fault: 20s, recovery: 30s}
faults:
  - toxiproxy/down: {link: payments.psp-a}
    at: 0s
    for: 20s
expect:
  baseline: [{slo: purchase-success}]
  fault: [{slo: purchase-success, objective: 0.9}]
  recovery: {within: 10s, of: [purchase-success]}
  always: {invariants: all}
guardrails:
  - {slo: purchase-success, below: 0.2, for: 5s}
"""


def _read(tmp_path: Path, text: str) -> ExperimentFile:
    path = tmp_path / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return read_experiment(path, "experiments/tiny.yaml")


def test_a_good_experiment_is_read_with_its_units(tmp_path: Path) -> None:
    experiment = _read(tmp_path, GOOD).experiment
    assert experiment.timeline.fault == 20.0
    assert experiment.faults[0].kind == "toxiproxy/down"
    assert experiment.faults[0].settings == {"link": "payments.psp-a"}
    assert experiment.faults[0].line == 9
    assert experiment.guardrails[0].duration == 5.0


@pytest.mark.parametrize(
    ("good", "bad", "line", "says"),
    [
        ("design: reference", "desing: reference", 5, 'did you mean "design"?'),
        ("peak_per_s: 40", "peak_per_s: forty", 6, "expected a number, got 'forty'"),
        ("peak_per_s: 40", "peak_per_s: .nan", 6, "not a finite number"),
        ("warmup: 10s", "warmup: 10 sec", 7, "expected a duration such as 500ms, 20s or 2m, got '10 sec'"),
        ("warmup: 10s", "warmup: 10", 7, "expected a duration"),
        ("warmup: 10s, ", "", 7, "timeline.warmup is missing"),
        ("    for: 20s\n", "", 9, "faults[0].for is missing"),
        ("    for: 20s\n", "    fro: 20s\n", 11, 'did you mean "for"?'),
        ("    at: 0s", "  at: 0s", 10, "spaces only, what belongs together alike"),
        ("faults:\n", "faults:\n\t", 9, "spaces only"),
        ("    at: 0s\n", "    at: soon\n", 10, "'soon' is not a duration"),
        ("  - toxiproxy/down: {link: payments.psp-a}\n", "  - noop: {}\n    toxiproxy/down: {}\n", 9, "names 2 kinds"),
        ("invariants: all", "invariants: most", 16, "write all, or a list of names"),
        ("kind: Experiment", "kind: Experimant", 2, "write kind: Experiment"),
        ("hypothesis: Nothing happens.", "hypothesis: [a, b]", 4, "hypothesis: expected text"),
        ("metadata: {name: tiny, title: Tiny}", "metadata: tiny", 3, "metadata should be a mapping"),
        ("objective: 0.9}", "objective: high}", 14, "expect.fault[0].objective: 'high' is not a number or nothing"),
        ("design: reference", "design: reference\ndesign: other", 6, "'design' stands here twice"),
        ("design: reference", "design: 2026-01-01", 5, "is read as a date"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, good: str, bad: str, line: int, says: str) -> None:
    assert good in GOOD
    with pytest.raises(BadFile) as caught:
        _read(tmp_path, GOOD.replace(good, bad))
    assert says in str(caught.value)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"experiments/tiny.yaml:{line}: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "should be a mapping"),
        ("- a\n- b\n", "should be a mapping"),
        ("a: [1, 2\nb: 3\n", "this is not YAML"),
        ("a: &x 1\nb: *x\n", "aliases (*name) are not used here"),
        ("a: " + "[" * 200 + "]" * 200 + "\n", "nests too deeply"),
        ("? [a, b]\n: 1\n", "a key should be text"),
        ("a: 99999999999999999999999\n", "the number is too large"),
        ("a: \t- b\n\tc: d\n", "this is not YAML"),
        ("a: !!python/object:os.system {}\n", "the tag tag:yaml.org,2002:python/object:os.system is not read here"),
    ],
)
def test_what_is_not_a_document_of_ours_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadFile) as caught:
        parse_tree(text, "f.yaml")
    assert says in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(BadFile, match="not UTF-8"):
        read_experiment(path, "tiny.yaml")


def test_an_override_changes_one_value() -> None:
    tree = overridden(parse_tree(GOOD, "f.yaml"), ["load.peak_per_s=20", "faults.0.for=5s"])
    assert tree.data["load"] == {"profile": "steady", "peak_per_s": 20, "seed": 7}
    assert isinstance(tree.data["faults"], list)
    assert tree.data["faults"][0]["for"] == "5s"


@pytest.mark.parametrize("override", ["load.peak_per_s", "=3", "faults.9.for=1s", "design.x.y=1"])
def test_an_override_that_leads_nowhere_is_refused(override: str) -> None:
    with pytest.raises(UsageError):
        overridden(parse_tree(GOOD, "f.yaml"), [override])
