"""Links of the real shop, broken in every way, several at once and one after the other: each is shown and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Harness, shown_and_undone

EXPERIMENT = """
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: links-broken-seven-ways, title: "Links are narrow, torn, in pieces, flaky, slow, dumb and reset"}
hypothesis: Each is seen where it is and while it is, and the books are right afterwards.
design: reference
load: {profile: steady, peak_per_s: 10, seed: 3}
timeline: {warmup: 5s, baseline: 15s, fault: 28s, recovery: 12s}
faults:
  - toxiproxy/bandwidth: {link: inventory.inventory-db, rate_kb_s: 400}
    at: 0s
    for: 8s
  - toxiproxy/limit-data: {link: cart.cart-store, bytes: 20000}
    at: 0s
    for: 8s
  - toxiproxy/slicer: {link: "checkout[0].inventory[*]", size: 256, variation: 32, delay: 5ms}
    at: 0s
    for: 8s
  - toxiproxy/flaky: {link: payments.psp-a, share: 0.4}
    at: 0s
    for: 8s
  - toxiproxy/latency: {link: payments.payments-db, latency: 60ms, jitter: 20ms}
    at: 0s
    for: 8s
  - toxiproxy/timeout: {link: cart.cart-store, timeout: 300ms} # no breaker stops asking here
    at: 10s
    for: 8s
  - toxiproxy/reset: {link: inventory.inventory-db, after: 50ms}
    at: 20s
    for: 8s
expect:
  baseline: [{slo: browse-availability, objective: 0.8}]
  always: {invariants: all}
"""


@pytest.mark.timeout(300)
def test_every_way_to_break_a_link_is_shown_on_the_shops_own_calls_and_undone(shop: Harness, tmp_path: Path) -> None:
    verdict = shown_and_undone(shop, EXPERIMENT, tmp_path / "links-broken-seven-ways.yaml")
    assert [one.fault for one in verdict.evidence] == [f"f{number}" for number in range(1, 8)]
