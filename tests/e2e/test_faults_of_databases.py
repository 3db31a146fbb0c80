"""Databases of the real shop, broken one way after the other under load: each is shown, and the books stay right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Harness, shown_and_undone

EXPERIMENT = """
apiVersion: crashcart/v1
kind: Experiment
metadata:
  name: databases-broken-four-ways
  title: An index, a table, all connections and a page are gone, one after the other
hypothesis: Each is seen where it is and while it is, and the books are right afterwards.
design: reference
load: {profile: steady, peak_per_s: 10, seed: 3}
timeline: {warmup: 5s, baseline: 15s, fault: 31s, recovery: 12s}
faults:
  - database/sql:
      database: inventory-db
      do: DROP INDEX holds_expiring
      undo: CREATE INDEX holds_expiring ON holds (expires_at) WHERE state = 'held'
      check: SELECT to_regclass('holds_expiring') IS NULL
    at: 0s
    for: 6s
  - database/lock: {database: inventory-db, table: products}
    at: 8s
    for: 6s
  - database/connections: {database: payments-db}
    at: 16s
    for: 6s
  - database/corrupt-page: {database: inventory-db, table: products, page: 0}
    at: 24s
    for: 6s
expect:
  baseline: [{slo: browse-availability, objective: 0.8}]
  always: {invariants: all}
"""


@pytest.mark.timeout(300)
def test_every_way_to_break_a_database_is_shown_on_the_shops_own_calls_and_undone(
    shop: Harness, tmp_path: Path
) -> None:
    verdict = shown_and_undone(shop, EXPERIMENT, tmp_path / "databases-broken-four-ways.yaml")
    assert [one.fault for one in verdict.evidence] == ["f1", "f2", "f3", "f4"]
    assert all(one.outside_share == 0 for one in verdict.evidence)
    during = next(phase for phase in verdict.phases if phase.name == "fault")
    assert during.failed + during.unknown > 0, "three of the four cost purchases"
