"""The money path as real processes: services, their Postgres servers, every link through a Toxiproxy.

The catalogue is three products: one of which there is enough, one sold out, and one of which there is a single piece.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from crashcart.tools import Toolbox, server_account
from tests.contract.shop_money.servers import Postgres, call, free_port, until

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "rig-token"
DATABASES = ("orders-db", "payments-db", "inventory-db")
LINKS = {
    "checkout": ("orders-db", "inventory", "payments", "mail"),
    "payments": ("payments-db", "psp-a", "psp-b"),
    "inventory": ("inventory-db",),
}
COMMANDS = {
    "psp-a": ("stack.thirdparty.processor", {"STYLE": "replays-failures"}),
    "psp-b": ("stack.thirdparty.processor", {"STYLE": "stores-successes", "LOOKUP_DELAY_S": "0.5"}),
    "mail": ("stack.thirdparty.mail", {}),
    "inventory": ("stack.inventory", {}),
    "payments": ("stack.payments", {}),
    "checkout": ("stack.checkout", {}),
}


PRODUCTS = """
insert into products (sku, name, price_cents, business_line, rank, initial, on_hand)
values ('G00001', 'Plenty', 1, 'general', 1, 1000000, 1000000),
       ('SOLD-OUT', 'None', 1, 'general', 2, 0, 0),
       ('LAST', 'One', 1, 'general', 3, 1, 1)
"""
STOCK = """
select sku, on_hand - (initial + restocked - coalesce((
           select sum(quantity) from hold_lines join holds using (order_id)
           where hold_lines.sku = products.sku and holds.state in ('held', 'confirmed')), 0)) as too_many
from products
"""


@dataclass
class Service:
    """One service process, which can be killed and started again on the same port."""

    name: str
    module: str
    env: dict[str, str]
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        log = (self.folder.parent / f"{self.name}.log").open("ab")
        env = {
            **os.environ,
            "SERVICE_NAME": self.name,
            "SERVICE_INSTANCE": f"{self.name}[0]",
            "LISTEN_ADDRESS": f"127.0.0.1:{self.port}",
            "DATA_DIR": str(self.folder),
            "ADMIN_TOKEN": TOKEN,
            **self.env,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module], env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} has ended: {self.log_tail()}"
        try:
            return call(self.port, "GET", "/readyz", timeout_s=1)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def log_tail(self) -> str:
        return (self.folder.parent / f"{self.name}.log").read_text()[-1500:]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def terminate(self) -> int:
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(timeout=15)
        self.process = None
        return status


@dataclass
class Rig:
    """All of it. A link is named `checkout.payments`; its fault is undone by `mend`."""

    toolbox: Toolbox
    folder: Path
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    databases: dict[str, Postgres] = field(default_factory=dict)
    toxiproxy: subprocess.Popen[bytes] | None = None
    control: int = 0
    proxies: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def start(self) -> None:
        account = server_account()
        for name in DATABASES:
            server = Postgres(self.toolbox.postgres.path, self.folder / name, free_port(), account)
            self.databases[name] = server
            server.make()
            server.start()
        self.sql("inventory-db", (ROOT / "stack/inventory/schema.sql").read_text())
        self.sql("inventory-db", PRODUCTS)
        self.empty()
        self.control = free_port()
        with (self.folder / "toxiproxy.log").open("ab") as log:
            self.toxiproxy = subprocess.Popen(
                [self.toolbox.toxiproxy.path, "-port", str(self.control)],
                env={**os.environ, "LOG_LEVEL": "error"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until("toxiproxy answers", self._control_answers)
        for name, (module, env) in COMMANDS.items():
            self.services[name] = Service(name, module, dict(env), free_port(), self.folder / f"{name}.data")
        for client, dependencies in LINKS.items():
            for dependency in dependencies:
                self._link(client, dependency)
        for name, service in self.services.items():
            service.env.update(self.settings.get(name, {}))
            service.start()
        self.wait_ready()

    def _link(self, client: str, dependency: str) -> None:
        is_database = dependency in self.databases
        port = self.databases[dependency].port if is_database else self.services[dependency].port
        listen = f"127.0.0.1:{free_port()}"
        name = f"{client}.{dependency}"
        self.toxi(
            "POST", "/proxies", {"name": name, "listen": listen, "upstream": f"127.0.0.1:{port}", "enabled": True}
        )
        address = f"postgresql://shop@{listen}/postgres" if is_database else f"http://{listen}"
        self.services[client].env["LINK_" + dependency.upper().replace("-", "_")] = address
        self.proxies[name] = listen

    def empty(self) -> None:
        """Fresh tables; what the ledgers hold by now belongs to no order any more."""
        self.forgotten.update(str(row["order_id"]) for row in self.orders())
        for name, service in (("orders-db", "checkout"), ("payments-db", "payments")):
            schema = (ROOT / "stack" / service / "schema.sql").read_text()
            self.sql(name, "drop table if exists orders, outbox, charges, attempts")
            self.sql(name, schema)

    def wait_ready(self) -> None:
        for service in self.services.values():
            until(f"{service.name} is ready", service.ready)

    def _control_answers(self) -> bool:
        try:
            return call(self.control, "GET", "/version", timeout_s=1)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    # ---- faults

    def toxi(self, method: str, path: str, body: object = None) -> Any:
        status, document = call(self.control, method, path, body)
        assert status < 300, (path, status, document)
        return document

    def cut(self, link: str) -> None:
        """Refuse new connections and close those there are."""
        self.toxi("PATCH", f"/proxies/{link}", {"enabled": False})

    def slow(self, link: str, latency_ms: int) -> None:
        self._toxic(link, "latency", {"latency": latency_ms}, "upstream")

    def hang(self, link: str) -> None:
        """Swallow everything the dependency answers."""
        self._toxic(link, "timeout", {"timeout": 0}, "downstream")

    def reset(self, link: str) -> None:
        """Reset connections a little after they are made, answers lost."""
        self._toxic(link, "reset_peer", {"timeout": 20}, "downstream")

    def _toxic(self, link: str, kind: str, attributes: dict[str, int], stream: str) -> None:
        body = {
            "type": kind,
            "name": f"{kind}-{time.monotonic_ns()}",
            "stream": stream,
            "toxicity": 1.0,
            "attributes": attributes,
        }
        self.toxi("POST", f"/proxies/{link}/toxics", body)

    def mend(self, link: str) -> None:
        """Undo what was done to a link."""
        for toxic in self.toxi("GET", f"/proxies/{link}/toxics"):
            self.toxi("DELETE", f"/proxies/{link}/toxics/{toxic['name']}")
        self.toxi("PATCH", f"/proxies/{link}", {"enabled": True})

    def behave(self, outsider: str, **behaviour: object) -> None:
        """Tell a processor or the mail provider how to behave; nothing given is well."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        status, document = call(self.port(outsider), "POST", "/admin/behaviour", behaviour, headers)
        assert status == 200, document

    def kill_and_restart(self, name: str) -> None:
        self.services[name].kill()
        self.services[name].start()
        until(f"{name} is ready again", self.services[name].ready)

    # ---- looking

    def sql(self, database: str, query: str) -> list[dict[str, Any]]:
        """Rows straight from the server, beside every proxy."""

        async def ask() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=self.databases[database].port, user="shop", database="postgres"
            )
            try:
                if not query.lstrip().lower().startswith("select"):
                    await connection.execute(query)
                    return []
                return [dict(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def orders(self) -> list[dict[str, Any]]:
        """All orders; none before there is a table."""
        there = self.sql("orders-db", "select to_regclass('orders') is not null as there")[0]["there"]
        return self.sql("orders-db", "select * from orders") if there else []

    def ledger(self, outsider: str) -> list[dict[str, Any]]:
        path = self.services[outsider].folder / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def holds(self) -> dict[str, str]:
        """State of each hold by order id."""
        return {str(row["order_id"]): row["state"] for row in self.sql("inventory-db", "select * from holds")}

    def port(self, name: str) -> int:
        return self.services[name].port

    def stop(self) -> None:
        for service in self.services.values():
            if service.process is not None:
                service.kill()
        if self.toxiproxy is not None:
            self.toxiproxy.kill()
            self.toxiproxy.wait()
        for server in self.databases.values():
            if server.process is not None:
                server.kill()
