"""Books: what has become of orders and payments, and what has not come to its end yet."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.parts import BLUE, GREEN, RED, YELLOW, Board, Frame, Query, bars, figure, lines
from dashboards.promql import EVERYTHING, rate

UID = "crashcart-books"


def build() -> Dashboard:
    """What is open first, then what has ended."""
    board = Board(UID, "Books", "Orders by state, payments that nobody knows the end of, and the oldest that waits.")
    board.put(
        figure(
            Frame("Open orders", "That have not come to their end, as checkout last counted.", 6, 4),
            Query("sum(max by (state) (orders_unfinished))"),
            steps=((None, BLUE),),
        ),
        figure(
            Frame(
                "Oldest open order", "Since it was placed. It goes on growing while the books can't be read.", 6, 4, "s"
            ),
            Query("max(orders_oldest_unfinished_seconds)"),
            steps=((None, GREEN), (10, YELLOW), (60, RED)),
        ),
        figure(
            Frame(
                "Unknown payments", "Orders whose card may or may not have been charged: they are asked about.", 6, 4
            ),
            Query('max(orders_unfinished{state="payment_unknown"})'),
            steps=((None, GREEN), (1, YELLOW), (20, RED)),
        ),
        figure(
            Frame(
                "Orders that could not be remembered",
                "Failed at the door, and nobody will write to these shoppers.",
                6,
                4,
            ),
            Query("sum(orders_untold_total)"),
            steps=((None, GREEN), (1, RED)),
        ),
    )
    board.put(
        lines(
            Frame("Open orders by state", "As checkout last counted.", 12, 8),
            Query("max by (state) (orders_unfinished)", "{{state}}"),
            stacked=True,
        ),
        lines(
            Frame("Oldest open order", "Since it was placed.", 12, 8, "s"),
            Query("max(orders_oldest_unfinished_seconds)", "oldest"),
        ),
    )
    board.put(
        lines(
            Frame("Orders that ended", "By how.", 12, 8, "reqps"),
            Query(rate("orders_total", "state"), "{{state}}"),
            stacked=True,
        ),
        bars(
            Frame("Orders that ended in the time shown", "By how.", 12, 8),
            Query(f"sum by (state) (increase(orders_total[{EVERYTHING}]))", "{{state}}", instant=True),
            steps=((None, BLUE),),
        ),
    )
    board.put(
        lines(
            Frame("Charges in doubt", "That payments asks the processors about, as it last looked.", 12, 8),
            Query("sum(charges_in_doubt)", "in doubt"),
        ),
        lines(
            Frame("What processors said", "To charges, by processor.", 12, 8, "reqps"),
            Query(rate("payments_total", "processor,outcome"), "{{processor}} {{outcome}}"),
        ),
    )
    board.put(
        lines(
            Frame("Messages not delivered yet", "Mails, and stock to confirm or release.", 12, 8),
            Query("max by (topic) (outbox_pending)", "{{topic}}"),
        ),
        lines(
            Frame(
                "Double clicks", "By what the two were told. Two different orders are a double order.", 12, 8, "reqps"
            ),
            Query(rate("shopper_double_clicks_total", "result"), "{{result}}"),
        ),
    )
    return board.build()
