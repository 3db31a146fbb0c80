"""Books of the reference shop that are right, for tests to break."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from crashcart.judging.shared import make_shared, named
from crashcart.model.recording import INTENT_COLUMNS
from crashcart.model.truth import Truth
from stack.thirdparty.book import card_print


def at(second: int) -> str:
    """When the n-th purchase is made."""
    return f"2026-01-01 00:00:{second:02}+00"


class Books:
    """The shop's books after four purchases: three accepted (one failed over to psp-b), one declined."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.database = duckdb.connect()
        for name, columns in {**{k: v.columns for k, v in truth.sources.items()}, "intents": INTENT_COLUMNS}.items():
            self.database.execute(
                f"CREATE TABLE {name} ({', '.join(f'{named(c)} {kind}' for c, kind in columns.items())})"
            )
        for n in (1, 2, 3):
            self.intent(n, "ok")
            self.order(n, "accepted")
            self.hold(n, "confirmed")
            self.insert("hold_lines", order_id=f"o{n}", sku="G1", quantity=1)
            self.mail(n, "order-confirmation")
            self.entry("psp_b" if n == 3 else "psp_a", n, "charge")
            processor = "psp-b" if n == 3 else "psp-a"
            self.charge(n, "captured", processor)
        self.entry("psp_a", 3, "void", amount_cents=0)
        self.intent(4, "declined")
        self.order(4, "rejected_declined")
        self.entry("psp_a", 4, "decline")
        self.hold(4, "released")
        self.insert("hold_lines", order_id="o4", sku="G1", quantity=1)
        self.charge(4, "declined", "psp-a")
        self.insert("products", sku="G1", price_cents=100, initial=10, restocked=2, on_hand=9)
        self.insert("opening_stock", sku="G1", pieces=10)
        self.database.execute("CREATE SCHEMA recording")
        self.database.execute("CREATE TABLE recording.series (metric VARCHAR, labels VARCHAR, t DOUBLE, value DOUBLE)")
        self.scraped("link_calls_total", {"link": "checkout.payments", "outcome": "ok"}, (0, 1000))
        self.scraped("link_calls_total", {"link": "checkout.payments", "outcome": "refused"}, (0, 200))
        self.scraped("link_retries_total", {"link": "checkout.payments"}, (0, 120))
        for status_class, answers in (("2xx", 1000), ("4xx", 50), ("5xx", 450)):
            self.scraped("http_requests_total", {"service": "storefront", "status_class": status_class}, (0, answers))
        for honest, failures in (("yes", 500), ("no", 80)):
            self.scraped("shopper_failures_total", {"cohort": "all", "honest": honest}, (0, failures))
        for component in ("browse", "cart", "checkout", "payments"):
            self.scraped("shop_component_state", {"component": component}, (1, 1, 1))

    def insert(self, table: str, **row: Any) -> None:
        marks = ", ".join("?" for _ in row)
        self.database.execute(
            f"INSERT INTO {table} ({', '.join(map(named, row))}) VALUES ({marks})", list(row.values())
        )

    def scraped(self, metric: str, labels: dict[str, str], values: Sequence[float]) -> None:
        """What Prometheus saw of one series, every ten seconds."""
        text = json.dumps({**labels, "instance": f"{labels.get('service', 'checkout')}[0]"})
        for index, value in enumerate(values):
            self.insert("recording.series", metric=metric, labels=text, t=index * 10.0, value=value)

    def intent(self, n: int, outcome: str) -> None:
        self.insert(
            "intents",
            id=f"k{n}",
            session=n,
            outcome=outcome,
            sent_s=float(n),
            reference=f"R-{n}",
            order_id=f"o{n}" if outcome == "ok" else None,
            total_cents=100,
            network="visa",
            lines='[["G1",1]]',
        )

    def order(self, n: int, state: str) -> None:
        row = {
            "order_id": f"o{n}",
            "idempotency_key": f"k{n}",
            "reference": f"R-{n}",
            "total_cents": 100,
            "card_network": "visa",
        }
        self.insert("orders", **row, state=state, created_at=at(n), finished_at=at(n))

    def hold(self, n: int, state: str) -> None:
        self.insert("holds", order_id=f"o{n}", state=state, created_at=at(n), updated_at=at(n))

    def charge(self, n: int, state: str, processor: str) -> None:
        row = {"key": f"k{n}", "order_id": f"o{n}", "reference": f"R-{n}", "amount_cents": 100, "network": "visa"}
        self.insert("charges", **row, state=state, processor=processor)

    def entry(self, ledger: str, n: int, entry: str, *, amount_cents: int = 100, key: str = "") -> None:
        key = key or f"{ledger}-{n}"
        row = {"order_id": f"o{n}", "reference": f"R-{n}", "amount_cents": amount_cents, "network": "visa"}
        self.insert(ledger, entry=entry, key=key, **row, card=card_print(f"tok_visa_{n}"))

    def mail(self, n: int, template: str) -> None:
        row = {"key": f"{template}-{n}", "to": f"shopper-{n}@mail.example", "order_id": f"o{n}", "reference": f"R-{n}"}
        self.insert("mail", **row, template=template)

    def do(self, sql: str) -> None:
        self.database.execute(sql)

    def share(self) -> None:
        """What the judge makes before it asks anything."""
        for name in self.truth.shared:
            self.database.execute(f"DROP TABLE IF EXISTS {name}")
        assert make_shared(self.database, self.truth) == {}

    def witnesses(self, name: str) -> list[dict[str, Any]]:
        self.share()
        invariant = next(one for one in self.truth.invariants if one.name == name)
        found = self.database.execute(f"SELECT to_json(w) FROM (\n{invariant.sql.rstrip(';')}\n) AS w").fetchall()
        return [json.loads(row) for (row,) in found]

    def examined(self, name: str) -> int:
        invariant = next(one for one in self.truth.invariants if one.name == name)
        row = self.database.execute(invariant.examined_sql).fetchone()
        assert row is not None
        return int(row[0])

    def confirmed(self) -> set[tuple[str, str]]:
        self.share()
        return set(self.database.execute(self.truth.exclusions_sql.rstrip().rstrip(";")).fetchall())
