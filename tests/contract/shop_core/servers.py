"""The real servers behind the shop's core, started for tests, and the services as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from crashcart.tools import server_account
from tests.contract.freezing import freeze

ROOT = Path(__file__).resolve().parents[3]
START_S = 20.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def wait_until(what: str, check: Callable[[], bool], within_s: float = START_S) -> None:
    """Ask again and again until it is so."""
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until, f"{what}: not within {within_s} s"
        time.sleep(0.02)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class PostgresServer:
    """One server on a fixed port; `database` makes a database in it from SQL."""

    def __init__(self, bin_dir: Path, folder: Path) -> None:
        self.bin_dir = bin_dir
        self.data = folder / "data"
        self.data.mkdir()
        self.port = free_port()
        self._account = server_account()
        self._process: subprocess.Popen[bytes] | None = None
        if self._account.uid is not None:
            os.chown(self.data, self._account.uid, self._account.gid or 0)
        self._run("initdb", "-D", str(self.data), "-U", "shop", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def _identity(self) -> dict[str, Any]:
        if self._account.uid is None:
            return {}
        return {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}

    def _run(self, program: str, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self.bin_dir / program, *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **self._identity(),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.data),
            "fsync": "off",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "dynamic_shared_memory_type": "mmap",  # in the data folder: nothing is left when it is killed
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [self.bin_dir / "postgres", "-D", str(self.data), "-p", str(self.port), *arguments],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=(self.data.parent / "postgres.log").open("ab"),
            start_new_session=True,
            **self._identity(),
        )
        wait_until("Postgres accepts statements", self._answers)

    def _answers(self) -> bool:
        done = subprocess.run(self._psql("postgres", "SELECT 1"), capture_output=True, cwd="/", check=False)
        return done.returncode == 0

    def _psql(self, database: str, sql: str) -> list[str]:
        return [
            str(self.bin_dir / "psql"),
            *("-h", "127.0.0.1", "-p", str(self.port), "-U", "shop", "-d", database),
            *("-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql),
        ]

    def sql(self, sql: str, database: str = "shop") -> str:
        done = subprocess.run(self._psql(database, sql), capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def fresh(self, *scripts: str) -> None:
        """An empty database `shop` with these scripts run in it."""
        self.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)", "postgres")
        self.sql("CREATE DATABASE shop", "postgres")
        for script in scripts:
            self.sql(script)

    def kill(self) -> None:
        """As a power loss: the server and all its backends, each of which is a session of its own, at once."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        for process in (server, *server.children(recursive=True)):
            process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)


class ValkeyServer:
    """One server on a fixed port, without a disk."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until("Valkey accepts connections", lambda: accepts(self.port))

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        assert self._process is not None
        freeze(self._process.pid)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()


@dataclass
class Proxy:
    """One proxy of a Toxiproxy: a link that can be slowed, cut and reset."""

    control: str
    name: str
    port: int

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
        request = urllib.request.Request(
            f"{self.control}{path}", method=method, data=json.dumps(body).encode() if body is not None else None
        )
        with DIRECT.open(request, timeout=10) as answer:
            answer.read()

    def down(self) -> None:
        self._call("PATCH", f"/proxies/{self.name}", {"enabled": False})

    def up(self) -> None:
        self._call("PATCH", f"/proxies/{self.name}", {"enabled": True})

    def latency(self, latency_ms: int) -> None:
        self._call("POST", f"/proxies/{self.name}/toxics", _toxic("latency", latency=latency_ms))

    def silence(self) -> None:
        """Nothing comes back any more; connections stay open."""
        self._call("POST", f"/proxies/{self.name}/toxics", _toxic("timeout", timeout=0))

    def reset(self) -> None:
        """Connections opened from now on are reset."""
        self._call("POST", f"/proxies/{self.name}/toxics", _toxic("reset_peer", timeout=0))

    def remove(self) -> None:
        self._call("DELETE", f"/proxies/{self.name}")

    def heal(self) -> None:
        self._call("POST", f"/proxies/{self.name}", {"enabled": True})
        for toxic in ("latency", "timeout", "reset_peer"):
            try:
                self._call("DELETE", f"/proxies/{self.name}/toxics/{toxic}")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise


def _toxic(kind: str, **attributes: int) -> dict[str, object]:
    return {"name": kind, "type": kind, "stream": "downstream", "toxicity": 1.0, "attributes": attributes}


class ToxiproxyServer:
    """One Toxiproxy; `proxy` puts a link in front of a port."""

    def __init__(self, program: Path) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [program, "-host", "127.0.0.1", "-port", str(self.port)],
            env={**os.environ, "LOG_LEVEL": "error"},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until("Toxiproxy accepts connections", lambda: accepts(self.port))

    def proxy(self, name: str, upstream_port: int) -> Proxy:
        control = f"http://127.0.0.1:{self.port}"
        proxy = Proxy(control, name, free_port())
        addresses = {"listen": f"127.0.0.1:{proxy.port}", "upstream": f"127.0.0.1:{upstream_port}"}
        proxy._call("POST", "/proxies", {"name": name, "enabled": True, **addresses})
        return proxy

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Answer:
    """What a service said."""

    status: int
    body: Any
    headers: Mapping[str, str]


class ServiceProcess:
    """One service of the shop as a process of its own."""

    def __init__(
        self, name: str, folder: Path, links: Mapping[str, str], settings: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / f"crashcart-tests-{os.getuid()}"),
            "SERVICE_NAME": name,
            "SERVICE_INSTANCE": f"{name}[0]",
            "LISTEN_ADDRESS": f"127.0.0.1:{self.port}",
            "DATA_DIR": str(folder),
            "ADMIN_TOKEN": "letmein",
            **{f"LINK_{dependency.upper().replace('-', '_')}": address for dependency, address in links.items()},
            **(settings or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> ServiceProcess:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"stack.{self.name}"],
            cwd=ROOT,
            env=self._environment,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if wait:
            wait_until(f"{self.name} is ready", self.is_ready)
        return self

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.call("GET", "/readyz").status == 200
        except OSError:
            return False

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10,
    ) -> Answer:
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers=dict(headers or {}))
        if body is not None:
            request.data = body if isinstance(body, bytes) else json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        if key is not None:
            request.add_header("Idempotency-Key", key)
        try:
            with DIRECT.open(request, timeout=timeout_s) as reply:
                return _answer(reply.status, reply.read(), reply.headers)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read(), error.headers)

    def metric(self, line: str) -> float:
        """The value of one sample, e.g. `link_calls_total{link="cart.cart-store",outcome="ok"}`."""
        for sample in str(self.call("GET", "/metrics").body).splitlines():
            if sample.startswith(line + " "):
                return float(sample.rsplit(" ", 1)[1])
        raise AssertionError(f"no {line} in /metrics")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int | None:
        """Ask it to end, as an operator would; gives its exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def _answer(status: int, body: bytes, headers: Any) -> Answer:
    text = body.decode()
    kind = headers.get("content-type", "")
    return Answer(
        status, json.loads(text) if "json" in kind and text else text, {k.lower(): v for k, v in headers.items()}
    )
