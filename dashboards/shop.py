"""Shop: rate, errors and duration of each service and each link, and how full everything is."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.parts import GREEN, RATE, RED, Board, Frame, Query, lines, states
from dashboards.promql import quantile, rate, share

UID = "crashcart-shop"
SERVICE = 'service=~"$service"'
LINK = 'link=~"$link"'
NEVER_SENT = "short_circuited|saturated"
"""Outcomes of calls that were not on the wire."""


def build() -> Dashboard:
    """Three rows of panels."""
    board = Board(
        UID,
        "Shop",
        "Rate, errors and duration of each service and link; retries, breakers, how full pools and queues are.",
    )
    board.variable("service", "Service", "label_values(http_requests_total, service)")
    board.variable("link", "Link", "label_values(link_calls_started_total, link)")
    _services(board)
    _links(board)
    _saturation(board)
    return board.build()


def _services(board: Board) -> None:
    requests = f"http_requests_total{{{SERVICE}}}"
    failed = f'http_requests_total{{{SERVICE},status_class="5xx"}}'
    board.row("Services").put(
        lines(
            Frame("Requests", "Answered, by service.", 8, 7, "reqps"), Query(rate(requests, "service"), "{{service}}")
        ),
        lines(
            Frame("Errors", "Answers of 5xx, of all answers of the service.", 8, 7, "percentunit"),
            Query(share(rate(failed, "service"), rate(requests, "service")), "{{service}}"),
        ),
        lines(
            Frame("Duration", "95 of 100 answers took at most so long.", 8, 7, "s"),
            Query(quantile(0.95, f"http_request_duration_seconds_bucket{{{SERVICE}}}", "service"), "{{service}}"),
        ),
    )
    slowest = quantile(0.95, f"http_request_duration_seconds_bucket{{{SERVICE}}}", "service,operation")
    board.put(
        lines(
            Frame("Slowest operations", "The eight whose 95 of 100 answers take longest.", 12, 7, "s"),
            Query(
                f"topk(8, {slowest} >= 0)",
                "{{service}} {{operation}}",
            ),
        ),
        states(
            Frame("Replicas", "Whether Prometheus could read their metrics.", 12, 7),
            Query("up", "{{instance}}"),
            says={"1": ("up", GREEN), "0": ("down", RED)},
        ),
    )


def _links(board: Board) -> None:
    started, ended = f"link_calls_started_total{{{LINK}}}", f'link_calls_total{{{LINK},outcome!~"{NEVER_SENT}"}}'
    bad = f'link_calls_total{{{LINK},outcome!="ok"}}'
    board.row("Links").put(
        lines(Frame("Calls", "Begun, by link.", 8, 7, "reqps"), Query(rate(started, "link"), "{{link}}")),
        lines(
            Frame(
                "Errors",
                "Calls that were not answered well, of all that have ended: also those that a breaker let nobody make.",
                8,
                7,
                "percentunit",
            ),
            Query(share(rate(bad, "link"), rate(f"link_calls_total{{{LINK}}}", "link")), "{{link}}"),
        ),
        lines(
            Frame("Duration", "95 of 100 calls took at most so long.", 8, 7, "s"),
            Query(quantile(0.95, f"link_call_duration_seconds_bucket{{{LINK}}}", "link"), "{{link}}"),
        ),
    )
    board.put(
        lines(
            Frame("How they went", "Calls that were not answered well, by what became of them.", 8, 7, "reqps"),
            Query(rate(bad, "outcome"), "{{outcome}}"),
        ),
        lines(
            Frame("Retries", "Repeated calls, by link: what a dependency gets on top.", 8, 7, "reqps"),
            Query(rate(f"link_retries_total{{{LINK}}}", "link"), "{{link}}"),
        ),
        lines(
            Frame("Under way", "Calls that have begun and not ended.", 8, 7),
            Query(f"sum by (link) ({started}) - sum by (link) ({ended})", "{{link}}"),
        ),
    )
    board.put(
        states(
            Frame("Breakers", "Open: nothing is let through.", 24, 5),
            Query(f"max by (link) (breaker_open{{{LINK}}})", "{{link}}"),
            says={"0": ("closed", GREEN), "1": ("open", RED)},
        )
    )


def _saturation(board: Board) -> None:
    at_work, at_most = (f"http_requests_in_flight{limit}{{{SERVICE}}}" for limit in ("", "_limit"))
    board.row("How full").put(
        lines(
            Frame("Pools", "Connections at work, of those that a link may have.", 8, 7, "percentunit"),
            Query(f"max by (link) (link_pool_busy{{{LINK}}} / link_pool_size{{{LINK}}})", "{{link}}"),
            top=1,
        ),
        lines(
            Frame("Waiting for a connection", "Callers, by link.", 8, 7),
            Query(f"sum by (link) (link_pool_waiting{{{LINK}}})", "{{link}}"),
        ),
        lines(
            Frame(
                "Admission",
                "Requests at work, of those that a group may have. At 100 % more are refused at once.",
                8,
                7,
                "percentunit",
            ),
            Query(
                f"max by (service, group) ({at_work} / {at_most})",
                "{{service}} {{group}}",
            ),
            top=1,
        ),
    )
    board.put(
        lines(
            Frame(
                "Queues",
                "Messages that wait in an outbox, and orders that failed at the door and are not closed yet.",
                12,
                7,
            ),
            Query("max by (topic) (outbox_pending)", "{{topic}}"),
            Query("sum(orders_unplaced)", "orders at the door"),
        ),
        lines(
            Frame("CPU", "Cores that each process of ours takes.", 12, 7),
            Query(f"sum by (job) (rate(process_cpu_seconds_total[{RATE}]))", "{{job}}"),
        ),
    )
