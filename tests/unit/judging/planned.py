"""The plan of a made-up run, and what it expects."""

from __future__ import annotations

from typing import Any

import msgspec

from crashcart.model.design import Design, Metadata, Service
from crashcart.model.load import LoadProgram
from crashcart.model.plan import (
    PLAN_FORMAT,
    Effect,
    Phase,
    Plan,
    PlannedFault,
    PlannedObjective,
    PlannedRecovery,
)
from crashcart.model.slo import Slo, parse_selector
from crashcart.model.truth import Invariant, Quiesce, Source, Truth

PER_S = 20
SHARE = 0.25
PHASES = (
    Phase("warmup", 0.0, 5.0, 100.0, 400.0),
    Phase("baseline", 5.0, 25.0, 400.0, 1600.0),
    Phase("fault", 25.0, 35.0, 200.0, 800.0),
    Phase("recovery", 35.0, 60.0, 500.0, 2000.0),
)
PROXY = "checkout[0].payments[0]"
SLOS = (
    Slo(
        "purchase-success",
        "Purchases that came through",
        "shop",
        parse_selector('shopper_events_total{sli="purchase",outcome="ok"}'),
        parse_selector("shopper_intended_total"),
        {"all": 0.99, "network:visa": 0.98, "network:amex": 0.9},
        excluded=parse_selector('shopper_events_total{sli="purchase",outcome=~"declined|sold_out"}'),
    ),
    Slo(
        "checkout-latency",
        "Orders answered within 500 ms",
        "shop",
        parse_selector('shopper_latency_seconds_bucket{sli="checkout",le="0.5"}'),
        parse_selector('shopper_latency_seconds_bucket{sli="checkout",le="+Inf"}'),
        {"all": 0.95},
    ),
    Slo(
        "honest-errors",
        "Honest failures",
        "shop",
        parse_selector('shopper_failures_total{honest="yes"}'),
        parse_selector("shopper_failures_total"),
        {"all": 0.95},
        only_failures=True,
    ),
)
TRUTH = Truth(
    sources={"orders": Source(database="orders-db", sql="…", columns={"key": "VARCHAR", "state": "VARCHAR"})},
    quiesce=Quiesce(5.0, {}),
    invariants=(
        Invariant(
            "no-accepted-order-lost",
            "No accepted order is lost",
            "",
            "SELECT reference, id FROM intents LEFT JOIN orders ON key = id WHERE outcome = 'ok' AND key IS NULL",
            "SELECT count(*) FROM intents WHERE outcome = 'ok'",
        ),
    ),
    exclusions_sql="""
        SELECT id, 'declined' FROM intents JOIN orders ON key = id WHERE state = 'declined'
        UNION ALL SELECT id, 'ok' FROM intents JOIN orders ON key = id WHERE outcome = 'unknown' AND state = 'accepted'
    """,
    average_order_cents=5000,
)
DOWN = PlannedFault(
    id="f1",
    kind="toxiproxy/down",
    settings={},
    title="checkout.payments is down",
    targets=(PROXY,),
    watched=(PROXY,),
    links=("checkout.payments",),
    start_s=25.0,
    end_s=35.0,
    effect=Effect("unreachable"),
)


def objective(phase: str, slo: str, cohort: str, wanted: float, min_events: int = 20) -> PlannedObjective:
    return PlannedObjective(f"{phase}/{slo}/{cohort}", slo, phase, cohort, wanted, min_events, 100.0)


def plan(**changes: Any) -> Plan:
    made = Plan(
        format=PLAN_FORMAT,
        name="made-up",
        title="A made-up run",
        hypothesis="all is well",
        tags=(),
        experiment_file="experiments/made-up.yaml",
        runtime="local",
        design=Design("crashcart/v1", "Design", Metadata("d"), {"storefront": Service(entry=True)}),
        profile="steady",
        peak_per_s=float(PER_S),
        seed=1,
        load=LoadProgram("crashcart/v1", "Load", (), SHARE, {"network": {"visa": 0.75, "amex": 0.25}}, "storefront"),
        phases=PHASES,
        faults=(DOWN,),
        objectives=(
            *(
                objective("baseline", "purchase-success", cohort, SLOS[0].objectives[cohort])
                for cohort in SLOS[0].objectives
            ),
            objective("baseline", "checkout-latency", "all", 0.95),
            objective("fault", "purchase-success", "all", 0.9),
            objective("fault", "purchase-success", "network:amex", 0.8),
            objective("fault", "honest-errors", "all", 0.95, 0),
        ),
        recovery=PlannedRecovery(10.0, 10.0, 35.0, ("purchase-success", "checkout-latency")),
        guardrails=(),
        slos=SLOS,
        truth=TRUTH,
        crashcart_version="0.0.0",
    )
    return msgspec.structs.replace(made, **changes)
