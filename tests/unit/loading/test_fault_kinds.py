"""A project's own fault kinds: what they come to in generic words, and every mistake with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crashcart.loading import open_project
from crashcart.loading.faultkinds import NamedKind, read_fault_kind
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import BadFile

ROOT = Path(__file__).parents[3]
GOOD = """\
apiVersion: crashcart/v1
kind: FaultKind
metadata:
  name: provider/slow
  title: "{provider} answers {share.percent} of {networks.words} charges {delay} late"
summary: It is slow.
parameters:
  provider: {type: service}
  delay: {type: duration, at_least: 300ms, at_most: 60s}
  share: {type: number, default: 1, at_least: 0.05, at_most: 1}
  networks: {type: list, default: null, one_of: [visa, amex]}
  pieces: {type: whole, default: 3}
  loud: {type: flag, default: false}
use:
  http/admin:
    service: "{provider}"
    method: POST
    body: {delay_ms: "{delay.ms}", share: "{share}", networks: "{networks}", n: ["{pieces}", "{loud}"]}
    part: calls_total{processor="{provider}",network=~"{networks.regex}",delay="{delay.s}"}
"""
GIVEN = parse_tree("faults: [{provider/slow: {}}]", "experiments/e.yaml")


def _read(tmp_path: Path, text: str) -> NamedKind:
    path = tmp_path / "slow.yaml"
    path.write_text(text, encoding="utf-8")
    return read_fault_kind(path, "stack/faults/slow.yaml")


def _values(kind: NamedKind, **given: Any) -> dict[str, Any]:
    return dict(kind.values(GIVEN, ("faults", 0, "provider/slow"), given))


def test_parameters_are_put_in_as_what_they_are_and_defaults_stand_in(tmp_path: Path) -> None:
    kind = _read(tmp_path, GOOD)
    values = _values(kind, provider="psp-a", delay="400ms", networks=["visa", "amex"], share=0.5)
    assert kind.uses == "http/admin"
    assert kind.settings_of(values) == {
        "service": "psp-a",
        "method": "POST",
        "body": {"delay_ms": 400, "share": 0.5, "networks": ["visa", "amex"], "n": [3, False]},
        "part": 'calls_total{processor="psp-a",network=~"visa|amex",delay="0.4"}',
    }
    assert kind.title_of(values) == "psp-a answers 50 % of visa and amex charges 400ms late"


def test_a_list_of_none_means_all(tmp_path: Path) -> None:
    kind = _read(tmp_path, GOOD)
    values = _values(kind, provider="psp-a", delay="1s")
    assert kind.settings_of(values)["body"]["networks"] is None
    assert 'network=~".*"' in kind.settings_of(values)["part"]
    assert kind.title_of(values) == "psp-a answers 100 % of all charges 1s late"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"delay": "1s"}, "provider is missing"),
        ({"provider": "psp-a", "delay": "1s", "speed": 1}, "has no parameter 'speed'"),
        ({"provider": "psp-a", "delay": "1s", "shar": 1}, 'did you mean "share"'),
        ({"provider": "psp-a", "delay": "200ms"}, "at least 300ms"),
        ({"provider": "psp-a", "delay": "2m"}, "at most 60s"),
        ({"provider": "psp-a", "delay": 400}, "write a number and a unit"),
        ({"provider": "psp-a", "delay": "1s", "share": 2}, "at most 1"),
        ({"provider": "psp-a", "delay": "1s", "share": True}, "a number"),
        ({"provider": "psp-a", "delay": "1s", "networks": "visa"}, "a list of words"),
        ({"provider": "psp-a", "delay": "1s", "networks": []}, "a list of words"),
        ({"provider": "psp-a", "delay": "1s", "networks": ["diners"]}, "one of visa, amex"),
        ({"provider": "psp-a", "delay": "1s", "networks": ['vi"sa']}, "a list of words"),
        ({"provider": 7, "delay": "1s"}, "a service's name"),
        ({"provider": "psp-a", "delay": "1s", "pieces": 1.5}, "a whole number"),
        ({"provider": "psp-a", "delay": "1s", "loud": "yes"}, "true or false"),
    ],
)
def test_what_an_experiment_says_wrongly_is_told_at_the_experiments_line(
    tmp_path: Path, given: dict[str, Any], told: str
) -> None:
    kind = _read(tmp_path, GOOD)
    with pytest.raises(BadFile) as refused:
        _values(kind, **given)
    assert told in str(refused.value)
    assert str(refused.value).startswith("experiments/e.yaml:1: ")


@pytest.mark.parametrize(
    ("good", "bad", "line", "told"),
    [
        ("kind: FaultKind", "kind: Fault", 2, "write kind: FaultKind"),
        ("name: provider/slow", "name: slow", 4, "write family/verb"),
        ("{share.percent}", "{sahre.percent}", 5, 'did you mean "share"'),
        ("{share.percent}", "{share.words}", 5, "there is no such form"),
        ("type: service", "type: servce", 8, "expected one of"),
        ("at_least: 300ms", "at_least: 300", 9, "at_least: 300 can't be"),
        ("default: 1,", "default: 7,", 10, "at most 1"),
        ("default: 1,", "default: 1, one_of: [a],", 10, "it has no one_of"),
        ("one_of: [visa, amex]", "at_least: 3", 11, "it has no at_least"),
        ("  loud:", "  for:", 13, "can't be a parameter's name"),
        ("  loud:", "  Loud:", 13, "can't be a parameter's name"),
        (', "{loud}"', "", 13, "the parameter loud is not used"),
        ("{delay.ms}", "{delay.percent}", 18, "there is no such form"),
        ("{networks}", "{network}", 18, 'did you mean "networks"'),
        ("  http/admin:\n", "  noop: {}\n  http/admin:\n", 14, "use names 2 kinds"),
        ("summary:", "sumary:", 6, 'did you mean "summary"'),
    ],
)
def test_what_is_wrong_with_the_kind_itself_is_told_at_its_own_line(
    tmp_path: Path, good: str, bad: str, line: int, told: str
) -> None:
    assert good in GOOD
    with pytest.raises(BadFile) as refused:
        _read(tmp_path, GOOD.replace(good, bad, 1))
    assert told in str(refused.value)
    assert refused.value.line == line


def test_two_files_can_not_claim_one_name(tmp_path: Path) -> None:
    for folder in ("stack/designs", "experiments", "loadtests", "stack/faults"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "stack" / "faults" / f"{name}.yaml").write_text(GOOD)
    with pytest.raises(BadFile, match=r"there is another fault 'provider/slow', in stack/faults/a\.yaml"):
        _ = open_project(tmp_path).fault_kinds


def test_a_project_without_names_for_faults_is_fine(tmp_path: Path) -> None:
    for folder in ("stack/designs", "experiments", "loadtests"):
        (tmp_path / folder).mkdir(parents=True)
    assert open_project(tmp_path).fault_kinds == {}
