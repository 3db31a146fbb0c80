"""An SLO's ratios as Prometheus has them, beside the shoppers' own diary of a load that really ran: the same numbers.

Prometheus scrapes the load as in a run, five times a second. What the judge reads are counters, which must agree to the
last event. What dashboards and alerts show are rates over a window; of a window that holds the whole load, they must
agree to a millionth.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from crashcart.burnrates import rules_text
from crashcart.loading.slos import read_slo
from crashcart.model.slo import Selector, Slo
from crashcart.prometheus import PrometheusReader, Target, scrape_config
from crashcart.runtimes.servers import prometheus_argv
from crashcart.tools import Toolbox
from tests.contract.load.conftest import ROOT, Load, Process, SmallShop, call, port_that_was_free, until

INTERVAL_S = 0.2
PHASES = [{"name": "warmup", "start_s": 0.0, "end_s": 2.0}, {"name": "baseline", "start_s": 2.0, "end_s": 10.0}]
COHORTS = {
    f"{dimension}:{value}"
    for dimension, shares in yaml.safe_load((ROOT / "loadtests" / "load.yaml").read_text())["cohorts"].items()
    for value in shares
}


def _scraping(load: Load, toolbox: Toolbox, folder: Path, processes: list[Process]) -> str:
    """Address of a Prometheus that has seen the load's counters at 0."""
    folder.mkdir()
    address = f"127.0.0.1:{port_that_was_free()}"
    wanted = scrape_config([Target("load", "load", f"127.0.0.1:{load.port}")], interval_s=INTERVAL_S)
    processes.append(
        Process(prometheus_argv(toolbox.prometheus.path, address, folder, wanted), folder.with_suffix(".log"))
    )
    until(lambda: call("GET", f"http://{address}/-/ready")[0] == 200, "Prometheus is ready")
    reader = PrometheusReader(f"http://{address}")
    until(lambda: bool(reader.latest(Selector("shopper_intended_total"))), "the load is scraped")
    return address


def _scraped_once_more(reader: PrometheusReader) -> None:
    settled_s = time.time()

    def seen() -> bool:
        window = {"start_wall_s": settled_s, "end_wall_s": time.time(), "t0_wall_s": settled_s}
        return any(one.t > 0 for one in reader.raw(Selector("shopper_in_flight"), **window))

    until(seen, "Prometheus looked at the load after it had settled")


def _by_cohort(reader: PrometheusReader, selector: Selector) -> Counter[str]:
    found: Counter[str] = Counter()
    for labels, value in reader.latest(selector):
        found[labels["cohort"]] += int(value)
    return found


def _in_the_diary(load: Load) -> tuple[Counter[str], Counter[str]]:
    """Cohort → purchases that were intended, and that came through."""
    records = load.records("intents.jsonl")
    ended = {one["id"]: one["outcome"] for one in records if one["r"] == "end"}
    intended: Counter[str] = Counter()
    came_through: Counter[str] = Counter()
    for one in records:
        if one["r"] == "intent":
            cohorts = ["all", *(f"{dimension}:{value}" for dimension, value in one["cohorts"].items())]
            intended.update(cohorts)
            came_through.update(cohorts if ended[one["id"]] == "ok" else [])
    return intended, came_through


def _asked(address: str, expression: str) -> dict[str, float]:
    """Cohort → value, by PromQL."""
    words = urllib.parse.urlencode({"query": expression})
    told: dict[str, Any] = json.loads(call("GET", f"http://{address}/api/v1/query?{words}")[1])
    return {one["metric"]["cohort"]: float(one["value"][1]) for one in told["data"]["result"]}


def _bad_share(slo: Slo, window: str) -> str:
    rules = [rule for group in yaml.safe_load(rules_text(slo))["groups"] for rule in group["rules"]]
    [expression] = [rule["expr"] for rule in rules if rule.get("record") == f"slo:sli_error:ratio_rate{window}"]
    return str(expression)


def test_what_prometheus_has_of_an_slo_is_what_the_shoppers_wrote_down(
    open_shop: Callable[..., SmallShop],
    start_load: Callable[..., Load],
    toolbox: Toolbox,
    processes: list[Process],
    tmp_path: Path,
) -> None:
    slo = read_slo(ROOT / "stack" / "slos" / "purchase-success.yaml", "purchase-success.yaml", frozenset(COHORTS))
    load = start_load(open_shop("refuses").url, phases=PHASES)
    load.wait_ready()
    address = _scraping(load, toolbox, tmp_path / "prometheus", processes)
    reader = PrometheusReader(f"http://{address}")
    load.start()
    load.wait_state("settled")
    _scraped_once_more(reader)

    intended, came_through = _in_the_diary(load)
    assert intended["all"] > 80
    assert 0.7 < came_through["all"] / intended["all"] < 0.9, "the shop refuses every fifth order"
    assert _by_cohort(reader, slo.total) == intended
    assert +_by_cohort(reader, slo.good) == came_through

    exact = {cohort: 1 - came_through[cohort] / intended[cohort] for cohort in intended}
    shown = _asked(address, _bad_share(slo, "5m"))
    assert {cohort: shown[cohort] for cohort in exact} == pytest.approx(exact, abs=1e-6)
