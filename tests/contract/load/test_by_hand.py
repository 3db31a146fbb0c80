"""Locust as its users know it: by hand, headless or with the web page."""

from __future__ import annotations

import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.contract.load.conftest import Process, SmallShop, call, port_that_was_free, until

OpenShop = Callable[..., SmallShop]
LOCUST = Path(sys.executable).with_name("locust")


@pytest.fixture
def locust(tmp_path: Path, processes: list[Process]) -> Callable[..., Process]:
    def started(*arguments: str) -> Process:
        process = Process([LOCUST, "-f", "loadtests/locustfile.py", *arguments], tmp_path / "locust.log")
        processes.append(process)
        return process

    return started


def test_headless_it_runs_shows_its_table_and_ends(
    open_shop: OpenShop, locust: Callable[..., Process], tmp_path: Path
) -> None:
    shop = open_shop()
    out = tmp_path / "records"
    process = locust(
        *("--headless", "--host", shop.url, "--peak-per-s", "10", "--duration", "2", "--seed", "3"),
        *("--profile", "prime-day-opening", "--out", str(out), "--only-summary"),
    )
    assert process.exit_status() == 0
    said = process.said
    for name in ("/products/[sku]", "/carts/[id]/lines", "/orders", "Aggregated", "profile prime-day-opening, seed 3"):
        assert name in said
    ends = [json.loads(line) for line in (out / "intents.jsonl").read_text().splitlines()]
    assert {record["outcome"] for record in ends if record["r"] == "end"} == {"ok"}
    assert len(shop.seen()) > 3


def test_a_second_run_with_the_same_seed_places_new_orders(open_shop: OpenShop, locust: Callable[..., Process]) -> None:
    shop = open_shop()
    for _ in range(2):
        before = len(shop.seen())
        arguments = ("--headless", "--host", shop.url, "--peak-per-s", "10", "--duration", "1", "--only-summary")
        assert locust(*arguments).exit_status() == 0
        assert len(shop.seen()) > before


def test_records_that_nobody_asked_for_are_gone_when_the_run_is_over(
    open_shop: OpenShop, locust: Callable[..., Process]
) -> None:
    process = locust("--headless", "--host", open_shop().url, "--duration", "1", "--only-summary")
    assert process.exit_status() == 0
    said = re.search(r"records in (\S+) until it ends \(--out FOLDER keeps them\)", process.said)
    assert said is not None
    assert "crashcart-load-" in said[1]
    assert not Path(said[1]).exists()


def test_run_time_is_understood_as_everywhere_in_locust(open_shop: OpenShop, locust: Callable[..., Process]) -> None:
    shop = open_shop()
    process = locust("--headless", "--host", shop.url, "--run-time", "1s", "--stop-timeout", "20s", "--only-summary")
    assert process.exit_status() == 0
    assert "steady, seed 1, 1 s" in process.said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--host"),
        (("--host", "ftp://shop"), "http://"),
        (("--profile", "prime-dya"), "prime-day"),
        (("--peak-per-s", "0"), "peak_per_s"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    locust: Callable[..., Process], arguments: tuple[str, ...], said: str
) -> None:
    host = () if "--host" in arguments or not arguments else ("--host", "http://127.0.0.1:1")
    process = locust("--headless", "--only-summary", *host, *arguments)
    assert process.exit_status() == 2
    assert said in process.said
    assert "Traceback" not in process.said


def test_the_web_page_starts_stops_and_starts_again(open_shop: OpenShop, locust: Callable[..., Process]) -> None:
    shop = open_shop()
    port = port_that_was_free()
    process = locust("--host", shop.url, "--web-port", str(port), "--peak-per-s", "10")
    page = f"http://127.0.0.1:{port}"
    until(lambda: call("GET", f"{page}/")[0] == 200, "the web page answers")
    form = call("GET", f"{page}/")[1].decode()
    assert all(option in form for option in ("peak_per_s", "seed", "duration"))
    listening = [
        one.laddr.ip for one in psutil.Process(process.process.pid).net_connections() if one.status == "LISTEN"
    ]
    assert listening == ["127.0.0.1"]

    def requests() -> int:
        stats = json.loads(call("GET", f"{page}/stats/requests")[1])
        return sum(entry["num_requests"] for entry in stats["stats"] if entry["name"] == "/orders")

    def swarm() -> None:
        # five users are asked for: how many shoppers come is the profile's business all the same
        form = {"user_count": "5", "spawn_rate": "5", "host": shop.url, "duration": "600", "peak_per_s": "15"}
        request = urllib.request.Request(f"{page}/swarm", data=urllib.parse.urlencode(form).encode())
        with urllib.request.urlopen(request, timeout=10) as response:
            assert json.loads(response.read())["success"]

    for _ in range(2):
        swarm()
        until(lambda: requests() > 5, "orders show in Locust's statistics")
        metrics = call("GET", f"{page}/metrics")[1].decode()
        assert 'shopper_intended_total{phase="warmup",cohort="all"}' in metrics
        assert call("POST", f"{page}/stop")[0] == 200
        until(lambda: json.loads(call("GET", f"{page}/stats/requests")[1])["state"] == "stopped", "Locust has stopped")
        still = requests()
        assert requests() == still
