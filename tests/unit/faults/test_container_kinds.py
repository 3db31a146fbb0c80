"""The kinds that need containers: what they take, what they refuse, and that processes alone are not enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crashcart.faults import decode_settings, registry
from crashcart.loading import open_project
from crashcart.loading.experiments import experiment_from_tree
from crashcart.loading.yamltree import parse_tree
from crashcart.model.design import Design, Metadata, Service
from crashcart.model.errors import BadFile, UsageError
from crashcart.planning import Request, plan
from crashcart.runtimes.local import LocalRuntime

ROOT = Path(__file__).parents[3]
DESIGN = Design(
    api_version="crashcart/v1",
    kind="Design",
    metadata=Metadata("small"),
    services={
        "door": Service(links=("shop",), entry=True),
        "shop": Service(links=("stock",), replicas=2, zone="east"),
        "stock": Service(kind="postgres", zone="east"),
        "hermit": Service(zone="west"),
    },
)
GOOD: list[tuple[str, dict[str, Any], str]] = [
    ("service/cpu-limit", {"service": "shop", "cpus": 0.1}, "shop may use 0.1 of a processor"),
    ("service/memory-limit", {"service": "shop", "mib": 16}, "shop may hold 16 MiB"),
    ("network/loss", {"service": "shop", "share": 0.1}, "10 % of the packets to shop get lost"),
    ("network/partition", {"service": "shop"}, "shop is cut off"),
]


@pytest.mark.parametrize(("kind", "raw", "title"), GOOD)
def test_each_acts_on_all_replicas_and_says_so(kind: str, raw: dict[str, Any], title: str) -> None:
    fault = registry()[kind]
    settings = decode_settings(fault, raw)
    assert fault.targets(settings, DESIGN) == ("shop[0]", "shop[1]")
    assert fault.links(settings, DESIGN) == ("door.shop",)
    assert fault.title(settings) == title


def test_a_zone_is_all_that_stands_in_it() -> None:
    fault = registry()["network/partition"]
    settings = decode_settings(fault, {"zone": "east"})
    assert fault.targets(settings, DESIGN) == ("shop[0]", "shop[1]", "stock[0]")
    assert fault.title(settings) == "the zone east is cut off"


@pytest.mark.parametrize(
    ("kind", "raw", "says"),
    [
        ("service/cpu-limit", {"service": "shop", "cpus": 0}, "from 0.01 to 64"),
        ("service/cpu-limit", {"service": "shop", "cpus": 65}, "from 0.01 to 64"),
        ("service/cpu-limit", {"service": "shop", "cpus": float("nan")}, "from 0.01 to 64"),
        ("service/cpu-limit", {"service": "shoop", "cpus": 1}, 'did you mean "shop"'),
        ("service/memory-limit", {"service": "shop", "mib": 5}, "6 or more"),
        ("service/memory-limit", {"service": "shop", "mib": -1}, "6 or more"),
        ("network/loss", {"service": "shop", "share": 0.01}, "from 0.05 to 0.9"),
        ("network/loss", {"service": "shop", "share": 1}, "network/partition"),
        ("network/loss", {"service": "shop", "share": float("nan")}, "from 0.05 to 0.9"),
        ("network/partition", {}, "write one of both"),
        ("network/partition", {"service": "shop", "zone": "east"}, "write one of both"),
        ("network/partition", {"zone": "eastt"}, 'did you mean "east"'),
    ],
)
def test_what_can_not_be_is_refused_with_a_remedy(kind: str, raw: dict[str, Any], says: str) -> None:
    fault = registry()[kind]
    with pytest.raises(UsageError) as caught:
        fault.targets(decode_settings(fault, raw), DESIGN)
    assert says in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("service/cpu-limit", {"service": "shop"}),
        ("service/cpu-limit", {"service": "shop", "cpus": "half"}),
        ("service/memory-limit", {"service": "shop", "mib": 16.5}),
        ("network/loss", {"service": "shop", "share": 0.1, "shares": 2}),
        ("network/partition", {"services": "shop"}),
    ],
)
def test_settings_that_are_missing_wrong_or_unknown_are_refused(kind: str, raw: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        decode_settings(registry()[kind], raw)


def test_what_nobody_calls_can_not_be_shown_to_be_cut_off() -> None:
    fault = registry()["network/partition"]
    with pytest.raises(UsageError, match="no link leads to"):
        fault.watched(decode_settings(fault, {"service": "hermit"}), DESIGN)


@pytest.mark.parametrize(
    "line",
    [
        "service/cpu-limit: {service: payments, cpus: 0.1}",
        "service/memory-limit: {service: payments, mib: 16}",
        "network/partition: {service: payments}",
        "network/loss: {service: payments, share: 0.1}",
    ],
)
def test_the_local_runtime_refuses_each_in_the_plan_with_the_reason_and_the_runtime_that_has_it(line: str) -> None:
    demo = (ROOT / "experiments/third-party/card-processor-outage-at-peak.yaml").read_text(encoding="utf-8")
    good = "toxiproxy/down: {link: payments.psp-a}"
    assert good in demo
    file = experiment_from_tree(parse_tree(demo.replace(good, line, 1), "experiments/demo.yaml"))
    with pytest.raises(BadFile) as caught:
        plan(Request(file, open_project(ROOT), "local", LocalRuntime().lacks, registry()))
    assert line.partition(":")[0] in str(caught.value)
    assert "--runtime docker" in str(caught.value)
    assert caught.value.line == 14
