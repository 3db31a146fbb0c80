"""The exported Compose file, brought up: one buys in the shop, looks at it, and goes around no proxy.

Grafana is left out: no image of it could be had where this was written, and there is no stand-in. All else runs with
whichever images are in use, in the pipeline its stand-ins.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.images.conftest import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

NOT_RUN = "grafana"
UP_WITHIN_S = 600
HEALTHY_WITHIN_S = 120
DOWN_WITHIN_S = 120
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()"


@dataclass(frozen=True)
class Brought:
    """A shop that is up."""

    compose: tuple[str, ...]
    folder: Path
    name: str
    environment: dict[str, str]

    def call(self, *words: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.compose, "-p", self.name, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def container(self, service: str) -> Any:
        labels = {"com.docker.compose.project": self.name, "com.docker.compose.service": service}
        asked = [word for key, value in labels.items() for word in ("--filter", f"label={key}={value}")]
        found = docker("ps", "--all", "--quiet", *asked).stdout.split()
        assert len(found) == 1, f"{service}: {found}"
        return json.loads(docker("inspect", found[0]).stdout)[0]

    def run_in(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        return docker("exec", self.container(service)["Id"], *words)

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.environment[port]}"


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)


def call(url: str, body: object = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **named})
    try:
        with _OPENER.open(request, timeout=15) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def post(url: str, form: str) -> Any:
    """As Locust's page does."""
    with _OPENER.open(urllib.request.Request(url, form.encode()), timeout=15) as answer:
        return json.load(answer)


def fetched(url: str) -> tuple[str, str]:
    """The kind of what a browser gets there, and its text; HTTPError where it gets nothing."""
    with _OPENER.open(url, timeout=15) as answer:
        return answer.headers.get_content_type(), answer.read().decode()


def wait_until(what: Callable[[], object], within_s: float) -> None:
    """Until it gives nothing that is amiss."""
    deadline = time.monotonic() + within_s
    while amiss := what():
        assert time.monotonic() < deadline, f"after {within_s:g} s: {amiss}"
        time.sleep(1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-m", "crashcart", "export", "compose", "--out", str(place / "compose.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def services(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


@pytest.fixture(scope="module")
def shop(compose: tuple[str, ...], folder: Path, services: dict[str, Any]) -> Iterator[Brought]:
    """Up and healthy; whatever happens, nothing of it is there after."""
    variables = ("CRASHCART_SHOP_PORT", "CRASHCART_PROMETHEUS_PORT", "CRASHCART_GRAFANA_PORT", "CRASHCART_LOAD_PORT")
    environment = {**os.environ, **dict(zip(variables, map(str, free_ports(len(variables))), strict=True))}
    brought = Brought(compose, folder, f"crashcart-compose-{uuid.uuid4().hex[:8]}", environment)
    try:
        up = brought.call("up", "-d", *(name for name in services if name != NOT_RUN), within_s=UP_WITHIN_S)
        assert up.returncode == 0, (up.stdout + up.stderr)[-4000:]
        checked = [
            name for name, one in services.items() if not one.get("healthcheck", {"disable": True}).get("disable")
        ]
        wait_until(lambda: unhealthy(brought, [name for name in checked if name != NOT_RUN]), HEALTHY_WITHIN_S)
        yield brought
    finally:
        down = brought.call("down", "--volumes", "--remove-orphans", "-t", "2", within_s=DOWN_WITHIN_S)
        assert down.returncode == 0, down.stderr
        assert left_of(brought.name) == []


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def unhealthy(brought: Brought, names: list[str]) -> list[str]:
    states = {name: brought.container(name)["State"] for name in names}
    return [f"{name}: {state['Health']}" for name, state in states.items() if state["Health"]["Status"] != "healthy"]


def left_of(name: str) -> list[str]:
    mine = ["--quiet", "--filter", f"label=com.docker.compose.project={name}"]
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [line for kind in kinds for line in docker(*kind, *mine).stdout.split()]


def test_a_shopper_buys_through_the_published_door(shop: Brought) -> None:
    door = shop.url("CRASHCART_SHOP_PORT")
    status, catalogue = call(f"{door}/catalogue")
    assert status == 200
    item = catalogue["skus_by_rank"][0]
    cart, key = str(uuid.uuid4()), str(uuid.uuid4())
    lines = {"lines": [{"sku": item["sku"], "quantity": 1}]}
    status, answer = call(f"{door}/carts/{cart}/lines", lines, Idempotency_Key=str(uuid.uuid4()))
    assert status in (200, 201), answer
    order = {
        "cart_id": cart,
        "total_cents": item["price_cents"],
        "card": {"network": "visa", "token": "tok_visa_1"},
        "email": "shopper-1@mail.example",
    }
    status, placed = call(f"{door}/orders", order, Idempotency_Key=key)
    assert status == 201, placed
    assert call(f"{door}/orders", order, Idempotency_Key=key)[1]["order_id"] == placed["order_id"], "one key, one order"
    count = shop.run_in("orders-db", "psql", "-U", "shop", "-d", "shop", "-Atc", "SELECT count(*) FROM orders")
    assert count.stdout.strip() == "1", count.stderr


def test_prometheus_scrapes_everything_and_reads_every_rule(shop: Brought, services: dict[str, Any]) -> None:
    url = shop.url("CRASHCART_PROMETHEUS_PORT")

    def not_up() -> list[str]:
        targets = call(f"{url}/api/v1/targets")[1]["data"]["activeTargets"]
        return [f"{one['labels']}: {one['lastError']}" for one in targets if one["health"] != "up"]

    wait_until(not_up, 30)
    targets = call(f"{url}/api/v1/targets")[1]["data"]["activeTargets"]
    with_code = {name for name, one in services.items() if "LISTEN_ADDRESS" in one.get("environment", {})}
    assert {one["labels"]["job"] for one in targets} == {*with_code, "toxiproxy", "load"}
    groups = call(f"{url}/api/v1/rules")[1]["data"]["groups"]
    assert {Path(group["file"]).name for group in groups} == {path.name for path in (shop.folder / "rules").iterdir()}


def test_locusts_page_is_served_with_its_program_the_shops_address_and_our_options(shop: Brought) -> None:
    page = f"{shop.url('CRASHCART_LOAD_PORT')}/"
    kind, html = fetched(page)
    assert kind == "text/html"
    assert "<title>Locust</title>" in html
    told = re.search(r"window\.templateArgs = (\{.*\})", html)
    assert told is not None, html
    settings = json.loads(told[1])
    assert settings["host"] == "http://toxiproxy:20001"
    assert "profile" in settings
    assert {"peak_per_s", "seed", "duration", "scenario"} <= set(settings["extra_options"])
    [program] = re.findall(r'<script [^>]*src="([^"]+)"', html)
    kind, text = fetched(urllib.parse.urljoin(page, program))
    assert kind.endswith("/javascript")
    assert "templateArgs" in text


def test_locusts_page_drives_the_shop_and_its_shoppers_are_counted(shop: Brought) -> None:
    page, prometheus = shop.url("CRASHCART_LOAD_PORT"), shop.url("CRASHCART_PROMETHEUS_PORT")
    form = "user_count=1&spawn_rate=1&host=http://toxiproxy:20001&profile=steady&peak_per_s=2&seed=1&duration=30"
    assert post(f"{page}/swarm", form)["success"]

    def nobody_bought() -> object:
        query = 'sum(shopper_events_total{sli="purchase",outcome="ok",cohort="all"})'
        found = call(f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}")[1]["data"]["result"]
        return not found or float(found[0]["value"][1]) == 0

    wait_until(nobody_bought, 40)
    assert post(f"{page}/stop", "")["success"]


def test_a_database_is_reached_through_toxiproxy_and_no_other_way(shop: Brought) -> None:
    (database,) = shop.container("orders-db")["NetworkSettings"]["Networks"].values()
    (through,) = (
        one["listen"].rpartition(":")[2]
        for one in json.loads((shop.folder / "toxiproxy.json").read_text(encoding="utf-8"))
        if one["name"] == "checkout[0].orders-db[0]"
    )

    def connect(host: str, port: str) -> subprocess.CompletedProcess[str]:
        return shop.run_in("checkout", "python", "-c", _CONNECT, host, port)

    assert connect("toxiproxy", through).returncode == 0
    for host, port, why in (
        ("orders-db", "5432", "resolution"),
        (database["IPAddress"], "5432", "timed out"),
        ("toxiproxy", "8474", "refused"),
    ):
        failed = connect(host, port)
        assert failed.returncode == 1
        assert why in failed.stderr
    # the same address and port, from where one may: it does listen
    assert shop.run_in("inventory-db", "pg_isready", "-h", database["IPAddress"]).returncode == 0


def test_a_proxy_that_is_cut_keeps_its_client_from_its_dependency(shop: Brought) -> None:
    api = "http://toxiproxy-front:8474"
    program = (
        "import json, sys, urllib.request as u;"
        " u.urlopen(u.Request(sys.argv[1], json.dumps({'enabled': sys.argv[2] == 'on'}).encode(), method='POST'))"
    )
    proxy = f"{api}/proxies/shoppers%5B0%5D.storefront%5B0%5D"
    try:
        assert shop.run_in("load", "python", "-c", program, proxy, "off").returncode == 0
        with pytest.raises(OSError, match=r"refused|reset|closed|Remote end"):
            call(f"{shop.url('CRASHCART_SHOP_PORT')}/catalogue")
    finally:
        assert shop.run_in("load", "python", "-c", program, proxy, "on").returncode == 0
    assert call(f"{shop.url('CRASHCART_SHOP_PORT')}/catalogue")[0] == 200


def test_nothing_is_published_beyond_this_machine(shop: Brought, services: dict[str, Any]) -> None:
    bindings = {
        binding["HostIp"]
        for name in services
        if name != NOT_RUN
        for found in shop.container(name)["NetworkSettings"]["Ports"].values()
        for binding in found or ()
    }
    assert bindings == {"127.0.0.1"}


def test_up_again_seeds_nothing_twice(shop: Brought, services: dict[str, Any]) -> None:
    again = shop.call("up", "-d", *(name for name in services if name != NOT_RUN), within_s=120)
    assert again.returncode == 0, again.stderr
    count = shop.run_in("inventory-db", "psql", "-U", "shop", "-d", "shop", "-Atc", "SELECT count(*) FROM products")
    assert count.stdout.strip() == "10000"


@pytest.mark.parametrize("design", ["no-failover", "two-of-each"])
def test_compose_reads_the_other_designs(compose: tuple[str, ...], tmp_path: Path, design: str) -> None:
    command = [sys.executable, "-m", "crashcart", "export", "compose", "--design", design]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "compose.yaml")], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    read = subprocess.run([*compose, "config"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert read.returncode == 0, read.stderr
    assert "payments" in read.stdout
