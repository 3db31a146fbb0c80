"""An experiment of the reference shop for each kind of fault, as it might stand in a file."""

from __future__ import annotations

SETTINGS = {
    "database/connections": "{database: orders-db, free: 1, cut: true}",
    "database/corrupt-page": "{database: inventory-db, table: products, page: 0}",
    "database/lock": "{database: inventory-db, table: products, mode: EXCLUSIVE}",
    "database/sql": "{database: inventory-db, do: [SELECT 1, SELECT 2], undo: SELECT 1, check: SELECT true}",
    "disk/full": "{service: inventory-db}",
    "http/admin": """
      service: psp-a
      method: POST
      path: /admin/behaviour
      body: {fail_share: 0.2}
      undo: {method: DELETE, path: /admin/behaviour}
      counted: {part: 'payments_total{outcome=~"in_doubt|x"}', of: payments_total, share: 0.2, give_or_take: 0.4}""",
    "network/loss": "{service: inventory, share: 0.3}",
    "network/partition": "{service: inventory}",
    "noop": "{link: checkout.payments}",
    "service/cpu-hog": "{service: checkout, share: 0.5}",
    "service/cpu-limit": "{service: checkout, cpus: 0.2}",
    "service/kill": "{service: checkout, how: terminate}",
    "service/memory-limit": "{service: checkout, mib: 64}",
    "service/pause": "{service: checkout}",
    "toxiproxy/bandwidth": "{link: storefront.inventory, rate_kb_s: 32, direction: downstream}",
    "toxiproxy/down": "{link: checkout.payments}",
    "toxiproxy/flaky": "{link: checkout.payments, share: 0.3, slice: 2s, how: timeout}",
    "toxiproxy/latency": "{link: checkout.payments, latency: 300ms, jitter: 20ms, direction: upstream}",
    "toxiproxy/limit-data": "{link: storefront.inventory, bytes: 100}",
    "toxiproxy/reset": "{link: checkout.payments, after: 1s}",
    "toxiproxy/slicer": "{link: storefront.inventory, size: 64, variation: 16, delay: 10ms}",
    "toxiproxy/timeout": "{link: checkout.payments, timeout: 500ms}",
}

_TEXT = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {{name: {name}, title: "One fault: {kind}"}}
hypothesis: It is planned.
design: reference
load: {{profile: steady, peak_per_s: 40, seed: 29}}
timeline: {{warmup: 8s, baseline: 20s, fault: 20s, recovery: 30s}}
faults:
  - {kind}: {settings}
    at: 1s
    for: 12s
expect:
  baseline: [{{slo: purchase-success}}]
  recovery: {{within: 8s, of: [purchase-success]}}
"""


def name_of(kind: str) -> str:
    """Of its experiment."""
    return f"one-{kind.replace('/', '-')}"


def experiment_with(kind: str) -> str:
    """The file."""
    return _TEXT.format(name=name_of(kind), kind=kind, settings=SETTINGS[kind])
