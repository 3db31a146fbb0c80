"""The one client of Toxiproxy: `toxiproxy-python` as its users know it, repaired.

What is repaired: the address is the instance's and not the class's; every call has a time-out; updates are PATCH;
everything that is not 2xx is a ControlPlaneError with the server's own words; names are quoted; HTTP_PROXY is ignored;
leaving `down()` restores what was, and enables nothing that was off before. Settings that crash the server are refused
before they are sent. Calls share nothing and may come from any thread.
"""

from __future__ import annotations

import http.client
import importlib
import json
import re
import socket
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from crashcart.model.errors import ControlPlaneError, UsageError
from crashcart.toxics import ToxicSpec, validate_toxic

__all__ = ["Proxy", "ProxySpec", "ToxicSpec", "Toxiproxy", "validate_toxic"]


class _Requests(types.ModuleType):
    """Stands for `requests`, which toxiproxy-python imports for a transport that is replaced here: 0.1 s saved.

    The real one is loaded should somebody use the unrepaired client in this process.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("requests"), name)


if "requests" in sys.modules:
    import toxiproxy
else:
    sys.modules["requests"] = _Requests("requests")
    try:
        import toxiproxy
    finally:
        del sys.modules["requests"]


class ProxySpec(msgspec.Struct, frozen=True):
    """A proxy to make: where it listens and what is behind it, both host:port."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True


class Proxy(toxiproxy.Proxy):  # type: ignore[misc]  # toxiproxy-python has no types
    """One proxy as the server told it: `name`, `listen`, `upstream`, `enabled`. Its methods speak to its own server."""

    name: str
    listen: str
    upstream: str
    enabled: bool

    def __init__(self, server: Toxiproxy, **told: Any) -> None:
        super().__init__(**told)
        self._server = server

    def toxics(self) -> dict[str, toxiproxy.toxic.Toxic]:
        """The toxics on it now, by name."""
        told = self._server.call("GET", f"{_path(self.name)}/toxics")
        return {toxic["name"]: toxiproxy.toxic.Toxic(proxy=self.name, **toxic) for toxic in told}

    def add_toxic(self, **keywords: Any) -> toxiproxy.toxic.Toxic:
        """As in toxiproxy-python (`type`, `stream`, `name`, `toxicity`, `attributes`); others are a TypeError."""
        keywords.setdefault("name", f"{keywords['type']}_{keywords.get('stream', 'downstream')}")
        told = self._server.add_toxic(self.name, ToxicSpec(**keywords))
        return toxiproxy.toxic.Toxic(proxy=self.name, **told)

    def destroy_toxic(self, toxic_name: str) -> bool:
        """Remove a toxic; one that is absent is fine."""
        self._server.remove_toxic(self.name, toxic_name)
        return True

    def destroy(self) -> bool:
        """Remove the proxy itself."""
        self._server.call("DELETE", _path(self.name))
        return True

    def disable(self) -> None:
        """Stop listening and cut what is established."""
        self._server.set_enabled(self.name, enabled=False)
        self.enabled = False

    def enable(self) -> None:
        """Listen again."""
        self._server.set_enabled(self.name, enabled=True)
        self.enabled = True

    @contextmanager
    def down(self) -> Iterator[Proxy]:
        """Off inside the block; afterwards as it was before it."""
        before = self._server.call("GET", _path(self.name))["enabled"]
        self.disable()
        try:
            yield self
        finally:
            if before:
                self.enable()


class Toxiproxy(toxiproxy.Toxiproxy):  # type: ignore[misc]  # toxiproxy-python has no types
    """A Toxiproxy server's control plane, at `api_url` (http://host:port). Every call may raise ControlPlaneError.

    A call that was not answered within `timeout_s` may have taken effect or not. The server is known to block for ever:
    then only starting it again helps (`restart_toxiproxy` of the runtime).
    """

    def __init__(self, api_url: str, timeout_s: float = 2.0) -> None:
        parts = urlsplit(api_url)
        if parts.scheme != "http" or parts.hostname is None or parts.port is None:
            raise UsageError(f"{api_url!r} is not the address of a Toxiproxy", remedy="write http://127.0.0.1:8474")
        self._host = parts.hostname
        self._port = parts.port
        self.timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"Toxiproxy({self.api_url!r}, timeout_s={self.timeout_s})"

    @property
    def api_url(self) -> str:
        """http://host:port."""
        return f"http://{self._host}:{self._port}"

    def update_api_consumer(self, host: str, port: int) -> None:
        """Speak to another server from now on; other clients are not touched."""
        self._host, self._port = host, port

    def running(self) -> bool:
        """Whether something accepts connections at the address."""
        try:
            with socket.create_connection((self._host, self._port), timeout=self.timeout_s):
                return True
        except OSError:
            return False

    def version(self) -> str:
        """Such as `2.12.0`."""
        told = self.call("GET", "/version")
        return str(told["version"] if isinstance(told, dict) else told)

    def proxies(self) -> dict[str, Proxy]:
        """All proxies, by name."""
        return {name: self._proxy(told) for name, told in self.call("GET", "/proxies").items()}

    def create(self, upstream: str, name: str, listen: str | None = None, enabled: bool | None = None) -> Proxy:
        """As in toxiproxy-python: without `listen` any free port of 127.0.0.1."""
        return self.create_proxy(name, listen or "127.0.0.1:0", upstream, enabled=enabled is not False)

    def create_proxy(self, name: str, listen: str, upstream: str, *, enabled: bool = True) -> Proxy:
        """Make a proxy; it listens when this returns (where `enabled`)."""
        _quoted(name)  # one that could not be found again is not made
        wanted = {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled}
        return self._proxy(self.call("POST", "/proxies", wanted))

    def populate(self, proxies: Sequence[ProxySpec | Mapping[str, Any]]) -> list[Proxy]:
        """Make many at once. One that is there already, with the same addresses, is left alone with its connections."""
        wanted = [msgspec.structs.asdict(one) if isinstance(one, ProxySpec) else dict(one) for one in proxies]
        told = self.call("POST", "/populate", wanted)["proxies"]
        if len(told) != len(wanted):
            raise ControlPlaneError(f"made {len(told)} of {len(wanted)} proxies", where=self.api_url)
        return [self._proxy(one) for one in told]

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Off: stops listening, established connections are cut. On: listens again. In effect when this returns."""
        told = self.call("PATCH", _path(name), {"enabled": enabled})
        if told.get("enabled") is not enabled:
            raise ControlPlaneError(f"{name} is still {'off' if enabled else 'on'}", where=self.api_url)

    def toxics(self, proxy: str) -> tuple[str, ...]:
        """Names of the toxics on a proxy now."""
        return tuple(str(toxic["name"]) for toxic in self.call("GET", f"{_path(proxy)}/toxics"))

    def add_toxic(self, proxy: str, spec: ToxicSpec) -> dict[str, Any]:
        """Put a toxic on a proxy and return it as the server took it. UsageError as `validate_toxic`."""
        validate_toxic(spec)
        _quoted(spec.name)
        told: dict[str, Any] = self.call("POST", f"{_path(proxy)}/toxics", msgspec.structs.asdict(spec))
        return told

    def update_toxic(self, proxy: str, spec: ToxicSpec) -> dict[str, Any]:
        """Give a toxic that is there new attributes and toxicity (its type and stream stay). UsageError as above."""
        validate_toxic(spec)
        changed = {"attributes": spec.attributes, "toxicity": spec.toxicity}
        told: dict[str, Any] = self.call("PATCH", _toxic_path(proxy, spec.name), changed)
        return told

    def remove_toxic(self, proxy: str, name: str) -> None:
        """Take a toxic off. A toxic or a proxy that is not there is fine."""
        self.call("DELETE", _toxic_path(proxy, name), absent_is_fine=True)

    def reset(self) -> bool:
        """Enable every proxy and remove every toxic."""
        self.call("POST", "/reset")
        return True

    def call(self, method: str, path: str, body: object = None, *, absent_is_fine: bool = False) -> Any:
        """One call on a connection of its own; the answer's JSON, its text where that is not JSON, None if empty.

        Raises:
            ControlPlaneError: no answer in time, or one that is not 2xx, with the server's words.
        """
        what = f"{method} {path}"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            status, text = response.status, response.read().decode("utf-8", "replace")
        except TimeoutError as problem:
            raise ControlPlaneError(f"no answer to {what} within {self.timeout_s:g} s", where=self.api_url) from problem
        except (OSError, http.client.HTTPException) as problem:
            raise ControlPlaneError(
                f"{what}: {str(problem) or type(problem).__name__}", where=self.api_url
            ) from problem
        finally:
            connection.close()
        if status == http.client.NOT_FOUND and absent_is_fine:
            return None
        if not 200 <= status < 300:
            raise ControlPlaneError(f"{what} was answered with {status}: {_words(text)}", where=self.api_url)
        return _json(text)

    def _proxy(self, told: Mapping[str, Any]) -> Proxy:
        return Proxy(self, **told)


def _path(proxy: str) -> str:
    return f"/proxies/{_quoted(proxy)}"


def _toxic_path(proxy: str, toxic: str) -> str:
    return f"{_path(proxy)}/toxics/{_quoted(toxic)}"


def _quoted(name: str) -> str:
    if not name or "/" in name:
        raise UsageError(
            f"{name!r} can't be a name in Toxiproxy", remedy="any text without a slash: it finds no other again"
        )
    return quote(name, safe="")


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _words(text: str) -> str:
    told = _json(text)
    if isinstance(told, dict) and "error" in told:
        return str(told["error"])
    # a server that can't answer in time says so in HTML
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:300] or "(nothing)"
