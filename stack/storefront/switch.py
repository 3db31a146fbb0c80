"""The switch that closes ordering, with a banner. It is kept on disk, so that a restart does not open the shop."""

from __future__ import annotations

import hmac
from pathlib import Path

import orjson

from stack.kit.app import Request
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request

_MAX_BANNER = 500


class OrderingSwitch:
    """Whether orders are taken, and what shoppers are told."""

    def __init__(self, saved: Path, admin_token: str) -> None:
        self.open = True
        self.banner: str | None = None
        self._saved = saved
        self._admin_token = admin_token
        if saved.exists():
            kept = orjson.loads(saved.read_bytes())
            self.open, self.banner = bool(kept["open"]), kept["banner"]

    def set_by(self, request: Request) -> None:
        """Do what an operator's request says; 401 without the token, 400 when it is not understood."""
        given = request.header("authorization") or ""
        if not self._admin_token or not hmac.compare_digest(given.encode(), f"Bearer {self._admin_token}".encode()):
            raise Problem(401, "not-allowed", "Not allowed", "This needs the operators' token.", safe_to_retry=False)
        body = request.json_object()
        is_open, banner = body.get("open"), body.get("banner")
        if not isinstance(is_open, bool):
            raise bad_request('open must be true or false, e.g. {"open": false, "banner": "Back at noon"}')
        if banner is not None and (not isinstance(banner, str) or len(banner) > _MAX_BANNER):
            raise bad_request(f"banner must be text of at most {_MAX_BANNER} characters, or null")
        self.open, self.banner = is_open, banner or None
        self._saved.write_bytes(orjson.dumps({"open": self.open, "banner": self.banner}))
        log("ordering-switched", level="warning", open=self.open, banner=self.banner)

    def closed(self) -> Problem:
        """What a shopper is told who orders while the switch is off."""
        return Problem(
            503,
            "ordering-closed",
            "We take no orders just now",
            self.banner or "Ordering is switched off for a moment; nothing was ordered.",
            safe_to_retry=True,
            retry_after_s=30.0,
        )
