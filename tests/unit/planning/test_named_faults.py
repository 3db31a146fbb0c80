"""The reference shop's own fault kinds in plans: generic words in, with the project's name and title kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.loading import ExperimentFile, open_project
from crashcart.loading.experiments import experiment_from_tree
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import BadFile
from crashcart.model.plan import Plan
from crashcart.planning import Request, plan

ROOT = Path(__file__).parents[3]
EXPERIMENT = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: named, title: Named}
hypothesis: It is named.
design: reference
load: {profile: steady, peak_per_s: 40, seed: 7}
timeline: {warmup: 10s, baseline: 20s, fault: 20s, recovery: 30s}
faults:
  - FAULT
    at: 0s
    for: 20s
expect:
  baseline: [{slo: browse-availability}]
  fault: [{slo: browse-availability}]
"""


def _file(fault: str) -> ExperimentFile:
    return experiment_from_tree(parse_tree(EXPERIMENT.replace("FAULT", fault), "experiments/named.yaml"))


def _plan(fault: str, lacks: str = "") -> Plan:
    return plan(Request(_file(fault), open_project(ROOT), "local", lambda _: lacks, registry()))


@pytest.mark.parametrize(
    ("fault", "title", "body", "outcome"),
    [
        (
            "provider/fail: {provider: psp-a, share: 0.5, answer: after}",
            "psp-a fails 50 % of all charges, after the deed",
            {"fail_share": 0.5, "networks": None, "answer": "after"},
            'outcome="in_doubt"',
        ),
        (
            "provider/slow: {provider: psp-b, delay: 3s, networks: [amex]}",
            "psp-b answers 100 % of amex charges 3s late",
            {"delay_ms": 3000, "delay_share": 1, "networks": ["amex"], "answer": "before"},
            'pace="slow"',
        ),
        (
            "provider/decline: {provider: psp-a, share: 0.2}",
            "psp-a declines 20 % of all charges",
            {"decline_share": 0.2, "networks": None},
            'outcome="declined"',
        ),
    ],
)
def test_a_provider_is_told_to_misbehave_and_payments_must_have_counted_it(
    fault: str, title: str, body: dict[str, Any], outcome: str
) -> None:
    (planned,) = _plan(fault).faults
    assert (planned.kind, planned.named, planned.title) == ("http/admin", fault.partition(":")[0], title)
    assert planned.settings["body"] == body
    assert planned.settings["undo"] == {"method": "DELETE", "path": "/admin/behaviour"}
    assert planned.links == (f"payments.{planned.settings['service']}",)
    assert planned.effect.measure == "counted"
    assert planned.effect.counted is not None
    assert outcome in str(planned.effect.counted.part)
    assert planned.effect.counted.whole.metric == "payments_total"
    settings = decode_settings(registry()["http/admin"], planned.settings)
    assert registry()["http/admin"].effect(settings) == planned.effect


def test_a_plan_with_a_named_fault_is_plain_data_that_comes_back_as_it_was() -> None:
    made = _plan("provider/slow: {provider: psp-a, delay: 400ms}")
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("provider/sloww: {provider: psp-a}", 'did you mean "provider/slow"'),
        ("provider/slow: {provider: psp-x, delay: 1s}", "has no service psp-x"),
        ("provider/slow: {provider: orders-db, delay: 1s}", "is a postgres server and has no admin API"),
        ("provider/slow: {delay: 1s}", "provider is missing"),
    ],
)
def test_what_can_not_be_is_told_at_the_experiments_line(fault: str, told: str) -> None:
    with pytest.raises(BadFile) as refused:
        _plan(fault)
    assert told in str(refused.value)
    assert str(refused.value).startswith("experiments/named.yaml:9: ")


def test_what_the_runtime_lacks_for_the_generic_kind_it_lacks_for_the_named_one() -> None:
    with pytest.raises(BadFile, match="can't do http/admin: it is too small"):
        _plan("provider/slow: {provider: psp-a, delay: 1s}", lacks="it is too small")


def test_a_fault_is_given_the_time_that_its_kind_needs_to_be_shown() -> None:
    text = EXPERIMENT.replace("FAULT", "service/pause: {service: checkout}").replace("for: 20s", "for: 4s")
    file = experiment_from_tree(parse_tree(text, "experiments/named.yaml"))
    with pytest.raises(BadFile, match="at least 5s, or it can't be shown to act"):
        plan(Request(file, open_project(ROOT), "local", lambda _: "", registry()))
