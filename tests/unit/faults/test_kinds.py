from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.design import Design, Metadata, Service
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Instance, Topology
from crashcart.ports import FaultKind

DESIGN = Design(
    api_version="crashcart/v1",
    kind="Design",
    metadata=Metadata("small"),
    services={
        "door": Service(links=("shop",), entry=True),
        "shop": Service(links=("stock",), replicas=2),
        "stock": Service(kind="postgres"),
        "hermit": Service(),
    },
)
TOPOLOGY = Topology(
    run_id="run",
    state_dir="/state",
    project_dir="/project",
    instances=tuple(
        Instance(f"shop[{i}]", "shop", "process", f"127.0.0.1:{i}", None, "", "", f"/state/shop{i}.spec")
        for i in (0, 1)
    ),
    proxies=(),
    toxiproxy_api="http://127.0.0.1:8474",
    prometheus_url="",
)

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("noop", {"link": "door.shop"}),
    ("toxiproxy/latency", {"link": "door.shop", "latency": "300ms", "jitter": "20ms"}),
    ("toxiproxy/down", {"link": "door.shop"}),
    ("service/kill", {"service": "shop"}),
    ("service/kill", {"service": "shop", "how": "terminate"}),
    ("service/pause", {"service": "shop"}),
]


def _planned(fault: FaultKind, raw: dict[str, Any], targets: tuple[str, ...], fault_id: str = "f1") -> PlannedFault:
    return PlannedFault(fault_id, fault.kind, raw, "", targets, (), (), 0.0, 10.0, Effect("none"))


def test_every_kind_of_this_version_is_found_by_being_there() -> None:
    assert {"noop", "service/kill", "service/pause", "toxiproxy/down", "toxiproxy/latency"} <= registry().keys()


@pytest.mark.parametrize(("kind", "raw"), GOOD)
def test_a_kind_acts_on_every_replica_that_its_target_names_and_watches_what_leads_there(
    kind: str, raw: dict[str, Any]
) -> None:
    fault = registry()[kind]
    settings = decode_settings(fault, raw)
    proxies = ("door[0].shop[0]", "door[0].shop[1]")
    assert fault.watched(settings, DESIGN) == proxies
    assert fault.targets(settings, DESIGN) == (("shop[0]", "shop[1]") if "service" in raw else proxies)


@pytest.mark.parametrize(("kind", "raw"), GOOD)
def test_steps_are_plain_data_that_survives_a_log(kind: str, raw: dict[str, Any]) -> None:
    fault = registry()[kind]
    settings = decode_settings(fault, raw)
    targets = fault.targets(settings, DESIGN)
    steps = fault.steps(settings, _planned(fault, raw, targets), TOPOLOGY)
    assert [step.target for step in steps] == list(targets)
    assert {step.kind for step in steps} == {kind}
    assert msgspec.json.decode(msgspec.json.encode(steps), type=tuple[Step, ...]) == steps
    assert steps == fault.steps(settings, _planned(fault, raw, targets), TOPOLOGY)


def test_two_faults_on_one_link_do_not_take_each_others_toxic_off() -> None:
    fault = registry()["toxiproxy/latency"]
    settings = decode_settings(fault, {"link": "door.shop", "latency": "300ms"})
    plans = (_planned(fault, {}, ("door[0].shop[0]",), fault_id) for fault_id in ("f1", "f2"))
    one, other = (fault.steps(settings, planned, TOPOLOGY)[0] for planned in plans)
    assert one.data["toxic"] != other.data["toxic"]
    assert one.data["attributes"] == {"latency": 300, "jitter": 0}
    assert one.data["stream"] == "downstream"


@pytest.mark.parametrize(
    ("kind", "raw", "title", "effect"),
    [
        ("noop", {"link": "door.shop"}, "nothing is done to door.shop", Effect("none", at_least_ms=20)),
        (
            "toxiproxy/latency",
            {"link": "door.shop", "latency": "300ms"},
            "door.shop answers 300ms late",
            Effect("added-latency", at_least_ms=270),
        ),
        (
            "toxiproxy/latency",
            {"link": "door.shop", "latency": "100ms", "jitter": "50ms", "direction": "upstream"},
            "door.shop is asked 100ms ± 50ms late",
            Effect("added-latency", at_least_ms=45, typical_ms=75),
        ),
        (
            "toxiproxy/latency",
            {"link": "door.shop", "latency": "1m"},
            "door.shop answers 1m late",
            Effect("added-latency", at_least_ms=1900),
        ),
        ("toxiproxy/down", {"link": "shop[1].stock"}, "shop[1].stock is down", Effect("unreachable")),
        ("service/kill", {"service": "shop[1]"}, "shop[1] is killed", Effect("instance-down", settle_s=10)),
        (
            "service/kill",
            {"service": "shop", "how": "terminate"},
            "shop is terminated",
            Effect("instance-down", settle_s=10),
        ),
        ("service/pause", {"service": "shop[0]"}, "shop[0] hangs", Effect("instance-down", settle_s=2)),
    ],
)
def test_a_kind_says_what_it_does_and_what_must_be_measured(
    kind: str, raw: dict[str, Any], title: str, effect: Effect
) -> None:
    fault = registry()[kind]
    settings = decode_settings(fault, raw)
    assert fault.title(settings) == title
    assert fault.effect(settings) == effect


def _resolve(fault: FaultKind, raw: dict[str, Any]) -> None:
    settings = decode_settings(fault, raw)
    fault.targets(settings, DESIGN)
    fault.watched(settings, DESIGN)


@pytest.mark.parametrize(
    ("kind", "raw", "told"),
    [
        ("noop", {"link": "door.shpo"}, 'did you mean "door.shop"'),
        ("noop", {"link": "door"}, "write client.dependency"),
        ("noop", {"link": "door[3].shop"}, "a replica that the design does not have"),
        ("noop", {}, "missing required field `link`"),
        ("noop", {"link": "door.shop", "speed": 1}, "its settings are: link"),
        ("toxiproxy/latency", {"link": "door.shop", "latency": 300}, "write a number and a unit"),
        ("toxiproxy/latency", {"link": "door.shop", "latency": "0ms"}, "more than 0, at most 60s"),
        ("toxiproxy/latency", {"link": "door.shop", "latency": "61s"}, "more than 0, at most 60s"),
        ("toxiproxy/latency", {"link": "door.shop", "latency": "3ms"}, "must be at least 5ms"),
        ("toxiproxy/latency", {"link": "door.shop", "latency": "50ms", "jitter": "60ms"}, "must be at least 5ms"),
        ("toxiproxy/latency", {"link": "door.shop", "latency": "50ms", "direction": "up"}, "direction"),
        ("toxiproxy/latency", {"link": "door.nobody", "latency": "50ms"}, "has no link door.nobody"),
        ("toxiproxy/down", {"link": "stock.shop"}, "has no link stock.shop"),
        ("service/kill", {"service": "shpo"}, 'did you mean "shop"'),
        ("service/kill", {"service": "shop", "how": "politely"}, "how"),
        ("service/pause", {"service": "hermit"}, "its absence can't be shown"),
        ("service/cpu-hog", {"service": "shop", "share": 0.1}, "from 0.2 to 0.95"),
        ("service/cpu-hog", {"service": "shop", "share": 1}, "there is service/pause"),
        ("disk/full", {"service": "shop"}, "services: {shop: {disk_mib: 256}}"),
        ("service/cpu-hog", {"service": "shop"}, "missing required field `share`"),
        ("service/kill", {"service": "shop[2]"}, "a replica that the design does not have"),
        ("service/kill", {"service": "hermit"}, "its absence can't be shown"),
    ],
)
def test_what_can_not_be_is_refused_with_what_would_be_right(kind: str, raw: dict[str, Any], told: str) -> None:
    fault = registry()[kind]
    with pytest.raises(UsageError) as refused:
        _resolve(fault, raw)
    assert told in str(refused.value)
