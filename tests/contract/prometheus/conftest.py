"""A real Prometheus that scrapes a page in the test's own hands."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crashcart.prometheus import PrometheusReader, Target, scrape_config
from crashcart.runtimes.addresses import LOOPBACK, Reservations
from crashcart.runtimes.servers import prometheus_argv
from crashcart.runtimes.spec import SpawnSpec
from crashcart.runtimes.starting import Starter, ending_words
from crashcart.tools import Toolbox

INTERVAL_S = 0.2


@dataclass
class Page:
    """What `/metrics` says; None: nothing that could be read."""

    text: str | None = ""
    scrapes: int = 0


@dataclass
class Web:
    """Answers from a table: path → page or body."""

    pages: dict[str, Page] = field(default_factory=dict)
    answer: Callable[[str], tuple[int, bytes]] | None = None
    address: str = ""


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    served = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = _answer(served, self.path)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            return  # a client that gives up is what one test is about

    with Server((LOOPBACK, 0), Handler) as server:
        served.address = f"{LOOPBACK}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def _answer(served: Web, path: str) -> tuple[int, bytes]:
    if served.answer is not None:
        return served.answer(path)
    page = served.pages.get(path)
    if page is None or page.text is None:
        return 500, b"not now"
    page.scrapes += 1
    return 200, page.text.encode()


@dataclass(frozen=True)
class Prometheus:
    reader: PrometheusReader
    page: Page
    gone: str
    """host:port of a target where nothing listens."""

    def scraped(self, text: str | None) -> float:
        """Serve this from now on; returns the wall clock at which two scrapes of it are over."""
        self.page.text, before = text, self.page.scrapes
        if text is not None:
            until(lambda: self.page.scrapes >= before + 3)
        return time.time()


def until(condition: Callable[[], object], *, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def prometheus(toolbox: Toolbox, web: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    page = web.pages.setdefault("/metrics", Page("good_total 1\n"))
    reservations, starter, folder = Reservations(), Starter(), tmp_path_factory.mktemp("a prometheus")
    address, gone = f"{LOOPBACK}:{reservations.take()}", f"{LOOPBACK}:{reservations.take()}"
    targets = [Target("shop", "shop[0]", web.address), Target("shop", "shop[1]", gone)]
    argv = prometheus_argv(toolbox.prometheus.path, address, folder, scrape_config(targets, interval_s=INTERVAL_S))
    log = folder / "log"
    process = starter.spawn(SpawnSpec("prometheus", argv, {}, str(folder), str(log)))
    try:
        starter.wait_ready(
            lambda: ending_words(process),
            name="prometheus",
            kind="prometheus",
            address=address,
            log=str(log),
            within_s=20.0,
            flush_log=process.flush_log,
        )
        yield Prometheus(PrometheusReader(f"http://{address}"), page, gone)
        assert process.poll() is None, Path(log).read_text()
    finally:
        process.kill()
        process.wait()
        reservations.release()
