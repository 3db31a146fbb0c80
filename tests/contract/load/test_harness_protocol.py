"""The load as the harness drives it: a real Locust process against a real small shop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.load.conftest import ROOT, WITHIN_S, Load, SmallShop, command, port_that_was_free, until

OpenShop = Callable[..., SmallShop]
StartLoad = Callable[..., Load]


def test_a_whole_run_from_ready_to_the_end(open_shop: OpenShop, start_load: StartLoad) -> None:
    shop = open_shop()
    load = start_load(shop.url)
    load.wait_ready()
    assert load.status()["state"] == "waiting"
    assert set(load.metrics().values()) == {0.0}
    load.start()
    load.wait_state("settled")

    status = load.status()
    assert status["scheduled"] == status["started"] > 30
    assert (status["in_flight"], status["broken"]) == (0, "")

    metrics = load.metrics()
    intended = sum(metrics[f'shopper_intended_total{{phase="{p}",cohort="all"}}'] for p in ("warmup", "baseline"))
    bought = sum(
        metrics[f'shopper_events_total{{sli="purchase",outcome="ok",phase="{p}",cohort="all"}}']
        for p in ("warmup", "baseline")
    )
    assert intended == bought > 5
    by_network = sum(
        metrics[f'shopper_intended_total{{phase="{phase}",cohort="network:{network}"}}']
        for phase in ("warmup", "baseline")
        for network in ("visa", "mastercard", "amex")
    )
    assert by_network == intended
    assert list(text_string_to_metric_families(load.call("GET", "/metrics")[1].decode()))

    load.send(signal.SIGTERM)
    assert load.exit_status() == 0

    intents = load.records("intents.jsonl")
    drawn = [record["id"] for record in intents if record["r"] == "intent"]
    sent = [record["id"] for record in intents if record["r"] == "send"]
    ended = {record["id"]: record for record in intents if record["r"] == "end"}
    assert len(drawn) == len(set(drawn)) == len(ended) == intended
    assert {record["outcome"] for record in ended.values()} == {"ok"}
    assert set(shop.seen()) == set(sent) == set(drawn)
    assert sum(shop.seen().values()) == len(sent)

    told = [one for one in load.records("load-counters.jsonl") if one["metric"] == "shopper_intended_total"]
    assert sum(one["value"] for one in told if one["labels"]["cohort"] == "all") == intended

    pace = load.records("pace.jsonl")
    assert sum(line["scheduled"] for line in pace) == sum(line["started"] for line in pace) == status["scheduled"]
    summary = json.loads((load.out / "load-summary.json").read_bytes())
    assert summary["ops"]["checkout"]["ok"]["count"] == intended
    assert summary["lateness"]["count"] == status["scheduled"]


def test_the_same_seed_sends_the_same_orders(open_shop: OpenShop, start_load: StartLoad, tmp_path: Path) -> None:
    told = []
    for number in ("first", "second"):
        folder = tmp_path / number
        folder.mkdir()
        load = Load(folder, open_shop().url)
        try:
            load.start()
            load.wait_state("settled")
            sends = [record for record in load.records("intents.jsonl") if record["r"] == "send"]
        finally:
            load.end()
        told.append({(send["id"], send["attempt"], str(send["lines"]), send["network"]) for send in sends})
    assert told[0] == told[1]


def test_it_is_ready_only_when_the_shop_is(open_shop: OpenShop, start_load: StartLoad) -> None:
    port = port_that_was_free()
    load = start_load(f"http://127.0.0.1:{port}")
    until(lambda: load.call("GET", "/readyz")[0] == 503, "the load says that it is not ready")
    until(lambda: b"/catalogue" in load.call("GET", "/readyz")[1], "the load says why")
    assert load.call("POST", "/start", {"t0_monotonic": time.monotonic()})[0] == 409
    open_shop(port=port)
    load.wait_ready()


def test_wrong_calls_are_refused_with_what_would_be_right(open_shop: OpenShop, start_load: StartLoad) -> None:
    load = start_load(open_shop().url)
    load.wait_ready()
    for body in ({}, {"t0_monotonic": "now"}, {"t0_monotonic": 1.0, "t1": 2}, [1], {"t0_monotonic": -1e9}):
        status, said = load.call("POST", "/start", body)
        assert (status, b"t0_monotonic" in said) == (422, True)
    status, said = load.call("GET", "/nothing")
    assert (status, b"GET /status" in said) == (404, True)
    assert load.status()["state"] == "waiting"


def test_stop_ends_the_arrivals_and_the_run_settles(open_shop: OpenShop, start_load: StartLoad) -> None:
    phases = [{"name": "warmup", "start_s": 0.0, "end_s": 600.0}]
    load = start_load(open_shop().url, phases=phases)
    load.start()
    until(lambda: load.status()["started"] > 20, "shoppers come")
    assert load.status()["state"] == "running"
    assert load.call("POST", "/stop", {})[0] == 200
    load.wait_state("settled")
    ends = [record["outcome"] for record in load.records("intents.jsonl") if record["r"] == "end"]
    assert set(ends) == {"ok"}


def test_shoppers_who_are_shed_try_again_with_the_same_key(open_shop: OpenShop, start_load: StartLoad) -> None:
    shop = open_shop("sheds")
    load = start_load(shop.url, settings={"mix": {"double_click": {"share": 0.0}}})
    load.start()
    load.wait_state("settled")
    metrics = load.metrics()
    assert set(shop.seen().values()) == {2}
    honest = sum(
        value for name, value in metrics.items() if "failures" in name and 'honest="yes"' in name and "all" in name
    )
    assert honest == len(shop.seen()) > 5
    assert not [name for name, value in metrics.items() if value and 'honest="no"' in name]


def test_a_shop_that_hangs_does_not_slow_the_arrivals(open_shop: OpenShop, start_load: StartLoad) -> None:
    patience = {"page": 3.0, "cart": 3.0, "order": 1.0, "browsing": 5.0, "checkout": 1.0}
    shop = open_shop("hangs")
    load = start_load(shop.url, settings={"mix": {"patience_s": patience, "double_click": {"share": 0.0}}})
    load.start()
    load.wait_state("settled")
    status = load.status()
    assert status["scheduled"] == status["started"] > 30
    ends = [record for record in load.records("intents.jsonl") if record["r"] == "end"]
    assert {(record["outcome"], record["problem"]) for record in ends} == {("unknown", "timeout")}
    assert all(record["latency_ms"] >= 999 for record in ends)
    pace = load.records("pace.jsonl")
    assert sum(line["scheduled"] for line in pace) == status["scheduled"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_records_survive_a_load_that_is_ended_in_the_middle(
    open_shop: OpenShop, start_load: StartLoad, number: signal.Signals
) -> None:
    shop = open_shop()
    load = start_load(shop.url, phases=[{"name": "warmup", "start_s": 0.0, "end_s": 600.0}])
    load.start()
    until(lambda: len(shop.seen()) > 5, "orders come")
    load.send(number)
    assert load.exit_status() == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    intents = load.records("intents.jsonl")
    sent = {record["id"] for record in intents if record["r"] == "send"}
    assert set(shop.seen()) <= sent <= {record["id"] for record in intents if record["r"] == "intent"}
    if number == signal.SIGTERM:
        assert {record["id"] for record in intents if record["r"] == "end"} == {
            record["id"] for record in intents if record["r"] == "intent"
        }
        assert json.loads((load.out / "load-summary.json").read_bytes())["state"] in ("running", "settling")


PARENT = """
import pathlib, subprocess, sys
child = subprocess.Popen(sys.argv[2:], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
child.wait()
"""


def test_when_its_harness_dies_the_load_stops(open_shop: OpenShop, start_load: StartLoad, tmp_path: Path) -> None:
    shop = open_shop()
    told = tmp_path / "pid"
    phases = [{"name": "warmup", "start_s": 0.0, "end_s": 600.0}]
    harness = start_load(shop.url, under=[sys.executable, "-c", PARENT, told], phases=phases)
    until(lambda: told.exists() and told.read_text().isdigit(), "the load was started")
    load = psutil.Process(int(told.read_text()))
    try:
        harness.start()
        until(lambda: len(shop.seen()) > 3, "orders come")
        harness.send(signal.SIGKILL)
        load.wait(timeout=WITHIN_S)
        summary = json.loads((harness.out / "load-summary.json").read_bytes())
        assert (summary["in_flight"], summary["broken"]) == (0, "")
    finally:
        if load.is_running():
            load.kill()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": "prime-dya"}, "prime-day"),
        ({"format": "x"}, "format"),
        ({"settings": {"mix": {"pagez": 1}}}, "pagez"),
    ],
)
def test_a_wrong_assignment_ends_it_at_once_with_a_word_on_what_is_right(
    start_load: StartLoad, change: dict[str, object], said: str
) -> None:
    load = start_load("http://127.0.0.1:1", **change)
    assert load.exit_status() == 2
    assert said in load.said
    assert "Traceback" not in load.said


def test_it_listens_on_loopback_alone(open_shop: OpenShop, start_load: StartLoad) -> None:
    load = start_load(open_shop().url)
    load.wait_ready()
    listening = [one for one in psutil.Process(load.process.pid).net_connections() if one.status == "LISTEN"]
    assert {(one.laddr.ip, one.laddr.port) for one in listening} == {("127.0.0.1", load.port)}


def test_the_declared_command_is_the_one_that_was_tested() -> None:
    assert "loadtests/locustfile.py" in command()
    assert (ROOT / "loadtests" / "locustfile.py").exists()
    listed = subprocess.run(
        [*command()[:5], "--list"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Shopper" in listed.stdout
