"""Client of the load process's control port (see `crashcart/loadkit`)."""

from __future__ import annotations

import http.client

import msgspec

from crashcart.model.errors import ControlPlaneError
from crashcart.model.plan import Phase
from crashcart.ports import LoadStatus

TIMEOUT_S = 2.0


class _Timeline(msgspec.Struct, frozen=True):
    phases: tuple[Phase, ...]


class LoadClient:
    """Implements `ports.LoadControl` over HTTP."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __repr__(self) -> str:
        return f"LoadClient({self.address})"

    def ready(self) -> str:
        """Empty when it has all it needs to start, else what it said."""
        try:
            self._call("GET", "/readyz")
        except ControlPlaneError as error:
            return str(error)
        return ""

    def start(self, t0_mono_s: float) -> None:
        """The first arrival is due at t0."""
        self._call("POST", "/start", {"t0_monotonic": t0_mono_s})

    def status(self) -> LoadStatus:
        """What it says of itself."""
        return msgspec.json.decode(self._call("GET", "/status"), type=LoadStatus)

    def cut(self, phase: str, end_s: float) -> tuple[Phase, ...]:
        """That phase ends then, or a little later; the timeline as it is from now on."""
        said = self._call("POST", "/cut", {"phase": phase, "end_s": end_s})
        return msgspec.json.decode(said, type=_Timeline).phases

    def stop(self) -> None:
        """No more arrivals."""
        self._call("POST", "/stop")

    def _call(self, method: str, path: str, body: object = None) -> bytes:
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
        try:
            connection.request(method, path, msgspec.json.encode(body) if body is not None else None)
            response = connection.getresponse()
            text = response.read(1 << 20)
        except (OSError, http.client.HTTPException) as error:
            raise ControlPlaneError(
                f"no answer to {method} {path}: {error}", where=f"load at {self.address}"
            ) from error
        finally:
            connection.close()
        if response.status >= 300:
            said = text[:200].decode(errors="replace")
            raise ControlPlaneError(f"{method} {path}: {response.status} {said}", where=f"load at {self.address}")
        return text
