"""Game day: one screen, for people who look up from what they are doing."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.models.dashboard import Dashboard

from crashcart.model.slo import Slo
from dashboards.parts import BLUE, GREEN, GREY, RED, YELLOW, Board, Frame, Query, bars, figure, lines, states
from dashboards.promql import ALL, budget_left, quantile, rate, success, worst_cohorts

UID = "crashcart-game-day"
PHASES = {"0": ("", GREY), "1": ("now", BLUE)}


def build(slos: Mapping[str, Slo]) -> Dashboard:
    """24 rows: what a screen of 1080 lines shows without scrolling."""
    purchase = slos["purchase-success"]
    board = Board(UID, "Game day", "Is the shop selling, what is broken, what has it cost, and whom does it hit?")
    offered, sold = (
        rate(f"shopper_intended_total{{{ALL}}}"),
        rate(f'shopper_events_total{{sli="purchase",outcome="ok",{ALL}}}'),
    )
    good_share = ((None, RED), (0.95, YELLOW), (purchase.objectives["all"], GREEN))
    board.put(
        figure(
            Frame(
                "Is the shop selling?", "Purchases that came through, of those that have ended.", 6, 4, "percentunit"
            ),
            Query(success(purchase)),
            steps=good_share,
        ),
        figure(
            Frame("Offered", "Purchases that shoppers set out for.", 3, 4, "reqps"),
            Query(offered),
            steps=((None, BLUE),),
        ),
        figure(Frame("Sold", "Purchases that came through.", 3, 4, "reqps"), Query(sold), steps=((None, BLUE),)),
        figure(
            Frame("Phase", "Of the experiment, as the harness says.", 4, 4),
            Query("crashcart_phase == 1", "{{phase}}"),
            steps=((None, BLUE),),
            named=True,
        ),
        figure(
            Frame("Faults now", "How many faults the harness has injected and not undone.", 4, 4),
            Query("count(max by (fault) (crashcart_fault_active) == 1) or vector(0)"),
            steps=((None, GREEN), (1, RED)),
            says={"0": "none"},
        ),
        figure(
            Frame("Alerts of the shop's own", "How many of them fire.", 4, 4),
            Query("sum(alert_firing)"),
            steps=((None, GREEN), (1, RED)),
            says={"0": "quiet"},
        ),
    )
    board.put(
        lines(
            Frame(
                "Offered and sold",
                "What shoppers set out to buy, and what they got. The gap is the outage.",
                12,
                7,
                "reqps",
            ),
            Query(offered, "offered"),
            Query(sold, "sold"),
            Query(rate(f'shopper_events_total{{sli="purchase",outcome!="ok",{ALL}}}', "outcome"), "{{outcome}}"),
        ),
        states(
            Frame(
                "Which fault is active", "From the harness's own metric: the time during which it was injected.", 12, 7
            ),
            # with its zeros: a lane lasts until its next value
            Query("max by (kind, target) (crashcart_fault_active)", "{{kind}} on {{target}}"),
            Query("max by (alert) (alert_firing)", "alert {{alert}}"),
            Query("min by (component) (shop_component_state) < bool 1", "/status: {{component}} not up"),
            says={"0": ("no", GREY), "1": ("yes", RED)},
        ),
    )
    board.put(
        bars(
            Frame(
                "Error budgets left",
                "Of what the events of the time shown may spend. At 0 it is spent; what is overspent shows as 0.",
                12,
                7,
                "percentunit",
            ),
            *(
                Query(f"clamp_min({budget_left(slo)}, 0)", slo.title, instant=True)
                for slo in slos.values()
                if slo.told_within_s is None
            ),
            steps=((None, RED), (0.25, YELLOW), (0.5, GREEN)),
            top=1,
        ),
        bars(
            Frame(
                "Worst cohorts",
                "How many times its own error budget of purchases a cohort has spent in the time shown.",
                12,
                7,
                "x",
            ),
            Query(worst_cohorts(purchase, 6), "{{cohort}}", instant=True),
            steps=((None, GREEN), (0.5, YELLOW), (1, RED)),
        ),
    )
    board.put(
        lines(
            Frame(
                "How long an order takes",
                "From when the shopper meant to click. Failed ones count as slow.",
                12,
                6,
                "s",
            ),
            *(
                Query(quantile(q, f'shopper_latency_seconds_bucket{{sli="checkout",{ALL}}}'), f"p{q * 100:g}")
                for q in (0.5, 0.95, 0.99)
            ),
        ),
        lines(
            Frame(
                "What failed, and how it was told",
                "Honest: with a reference, a contact and a true word on retrying.",
                12,
                6,
                "reqps",
            ),
            Query(rate(f"shopper_failures_total{{{ALL}}}", "honest"), "honest: {{honest}}"),
        ),
    )
    return board.build()
