"""Load: whether the shoppers who were due came, and came on time. A late generator makes a run inconclusive."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.parts import GREEN, RED, YELLOW, Board, Frame, Query, figure, lines
from dashboards.promql import ALL, quantile, rate, share

UID = "crashcart-load"


def build() -> Dashboard:
    """Offered, achieved, late."""
    due, began = rate("shopper_sessions_scheduled_total"), rate("shopper_sessions_started_total")
    late = [quantile(q, "shopper_lateness_seconds_bucket") for q in (0.5, 0.95, 0.99)]
    board = Board(UID, "Load", "Sessions that were due, those that began, and how late they were.")
    board.put(
        figure(
            Frame("Achieved", "Sessions that began, of those that were due.", 6, 4, "percentunit"),
            Query(share(began, due)),
            steps=((None, RED), (0.95, YELLOW), (0.99, GREEN)),
        ),
        figure(
            Frame("Lateness", "99 of 100 sessions began at most so late.", 6, 4, "s"),
            Query(late[2]),
            steps=((None, GREEN), (0.025, YELLOW), (0.1, RED)),
        ),
        figure(
            Frame("Could not begin", "Sessions for which the load had no room.", 6, 4),
            Query("sum(shopper_sessions_not_started_total)"),
            steps=((None, GREEN), (1, RED)),
        ),
        figure(
            Frame("Crashed", "Sessions that ended in an error of the load's own.", 6, 4),
            Query("sum(shopper_sessions_crashed_total)"),
            steps=((None, GREEN), (1, RED)),
        ),
    )
    board.put(
        lines(
            Frame("Offered and achieved", "Sessions that were due, and sessions that began.", 12, 8, "reqps"),
            Query(due, "offered"),
            Query(began, "achieved"),
        ),
        lines(
            Frame("How late sessions began", "After their planned time.", 12, 8, "s"),
            *(Query(expr, name) for expr, name in zip(late, ("p50", "p95", "p99"), strict=True)),
        ),
    )
    board.put(
        lines(
            Frame("Sessions under way", "An open load lets them pile up when the shop slows down.", 12, 8),
            Query("sum(shopper_in_flight)", "under way"),
        ),
        lines(
            Frame(
                "Purchases by phase", "That shoppers set out for, by the phase of their planned time.", 12, 8, "reqps"
            ),
            Query(rate(f"shopper_intended_total{{{ALL}}}", "phase"), "{{phase}}"),
            stacked=True,
        ),
    )
    board.put(
        lines(
            Frame("What shoppers do", "Operations that ended, by kind.", 12, 8, "reqps"),
            Query(rate(f"shopper_events_total{{{ALL}}}", "sli"), "{{sli}}"),
        ),
        lines(
            Frame(
                "How long shoppers wait",
                "95 of 100, from when they meant to ask. Failed ones count as slow.",
                12,
                8,
                "s",
            ),
            Query(quantile(0.95, f"shopper_latency_seconds_bucket{{{ALL}}}", "sli"), "{{sli}}"),
        ),
    )
    return board.build()
