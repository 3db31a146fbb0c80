"""Every query of every dashboard is asked during a real run, and must give numbers."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from crashcart.runtimes.topology_file import load_topology
from crashcart.safety.active import ActiveRun
from tests.e2e.as_grafana import (
    AsGrafana,
    Question,
    Window,
    all_of,
    complaints,
    numbers,
    questions,
    read_dashboards,
    wrongly_shown,
)
from tests.e2e.conftest import ROOT, Harness

NOBODY_CAN_BUY = """
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: seen-in-grafana, title: Checkout can not be reached for some seconds}
hypothesis: Whoever looks at the dashboards meanwhile sees it.
design: reference
load: {profile: steady, peak_per_s: 20, seed: 11}
timeline: {warmup: 5s, baseline: 8s, fault: 8s, recovery: 14s}
faults:
  - toxiproxy/down: {link: storefront.checkout}
    at: 0s
    for: 8s
expect:
  baseline: [{slo: browse-availability, objective: 0.5}]
  fault: [{slo: browse-availability, objective: 0.5}]
  always: {invariants: all}
"""
EMPTY = (
    Question("a metric that nobody has", "sum(no_such_metric)", instant=False, legend=""),
    Question("nothing over nothing", "sum(orders_untold_total) / sum(orders_untold_total)", instant=False, legend=""),
    Question(
        "nothing over nothing, now", "sum(orders_untold_total) / sum(orders_untold_total)", instant=True, legend=""
    ),
    Question("a label that the series do not have", "sum(up)", instant=True, legend="{{job}}"),
    Question("something over nothing", "sum(up) / 0", instant=False, legend=""),
)
"""What a panel that can't show anything looks like."""
FAULT = "crashcart_fault_active"
ASKED_FOR_FAULTS = {
    "Books / annotation Faults",
    "Game day / annotation Faults",
    "Load / annotation Faults",
    "Shop / annotation Faults",
    "Game day / Which fault is active / A",
    "Game day / Faults now / A",
}
SEEN_AFTER_S = 4.0
"""Of recovery: purchases go through again, and what failed has been counted."""


@pytest.fixture
def under_way(shop: Harness, tmp_path: Path) -> subprocess.Popen[str]:
    experiment = tmp_path / "seen-in-grafana.yaml"
    experiment.write_text(NOBODY_CAN_BUY, encoding="utf-8")
    return shop.start("run", str(experiment), "--out", str(shop.runs))


@pytest.mark.timeout(200)
def test_every_query_of_every_dashboard_gives_numbers_during_a_run(
    shop: Harness, under_way: subprocess.Popen[str]
) -> None:
    try:
        shop.wait_for_event(under_way, "load-started", 90)
        began = time.time()
        shop.wait_for_recorded('"phase":"recovery"', 90)
        time.sleep(SEEN_AFTER_S)  # what is looked at is a window of time
        grafana, window = AsGrafana(prometheus_of(shop)), Window(began, time.time())
        amiss = wrong_about_faults(grafana, window, injected_and_undone(shop))
        silent = unanswered(grafana, window)
        empty = [complaints(question, grafana.answers(question, window, {})) for question in EMPTY]
        assert under_way.poll() is None, "the run was over before everything had been asked"
        assert silent == []
        assert amiss == []
        assert all(empty), "a panel that shows nothing was not found out"
    finally:
        told, _ = under_way.communicate(timeout=120)
    assert under_way.returncode == 0, told


def unanswered(grafana: AsGrafana, window: Window) -> list[str]:
    """What gave no number, or a legend with a label that its series don't have."""
    silent = []
    for dashboard in read_dashboards(ROOT / "dashboards" / "grafana"):
        choices = grafana.choices(dashboard)
        silent += [f"{dashboard['title']} / variable {name}" for name, values in choices.items() if not values]
        for question in questions(dashboard):
            silent += complaints(question, grafana.answers(question, window, all_of(choices)))
    return silent


def injected_and_undone(shop: Harness) -> tuple[float, float]:
    """When the run's fault was there, in seconds since 1970."""
    recording = shop.recorded('"event":"fault-undone"')
    assert recording is not None
    [began] = recording.events("load-started")
    [injected], [undone] = recording.events("fault-injected"), recording.events("fault-undone")
    return began.data["t0_wall"] + injected.t, began.data["t0_wall"] + undone.t


def wrong_about_faults(grafana: AsGrafana, window: Window, fault: tuple[float, float]) -> list[str]:
    """Where a dashboard shows the run's one fault when it was not there, or does not when it was."""
    asked = [one for board in read_dashboards(ROOT / "dashboards" / "grafana") for one in questions(board)]
    about = {one.where: replace(one, instant=False) for one in asked if FAULT in one.expr}
    assert set(about) == ASKED_FOR_FAULTS
    wrong = []
    for where, question in about.items():
        curves = [numbers(one) for one in grafana.answers(question, window, {})]
        wrong += [f"{where}: {what}" for curve in curves or [{}] for what in wrongly_shown(curve, window, *fault)]
    return wrong


def prometheus_of(shop: Harness) -> str:
    folder = Path(shop.environment["XDG_STATE_HOME"]) / "crashcart" / "active"
    runs = [msgspec.json.decode(path.read_bytes(), type=ActiveRun) for path in folder.glob("*.json")]
    [state_dir] = [run.state_dir for run in runs if run.state_dir]
    return load_topology(state_dir).prometheus_url
