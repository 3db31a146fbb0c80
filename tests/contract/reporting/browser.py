"""Chromium, driven over a pipe with its own DevTools protocol: no driver, no port, nothing else to install."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

Message = dict[str, Any]

_HANDOVER = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads its commands from descriptor 3 and answers on 4, whatever numbers the pipes have here."""


def find_browser() -> str | None:
    """Path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab. `events` holds everything that the browser has said of it."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        target = pipe.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = pipe.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    @property
    def events(self) -> list[Message]:
        """All events so far."""
        return self._pipe.events

    def call(self, method: str, params: Message | None = None) -> Message:
        """One command and its answer."""
        return self._pipe.call(method, params or {}, self._session)

    def show(self, file: Path, *, width: int, dark: bool = False, scripts: bool = True) -> None:
        """Load a local page at a width in pixels and wait until it has been laid out."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        self.call(
            "Emulation.setEmulatedMedia",
            {
                "media": "screen",
                "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
            },
        )
        self.call("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.call("Page.navigate", {"url": file.absolute().as_uri()})
        self._pipe.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, to: Path) -> None:
        """The whole page as PNG."""
        answer = self.call("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
        to.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, to: Path) -> None:
        """The page as it is printed on A4, whatever the screen's colours."""
        self.call("Emulation.setEmulatedMedia", {"media": "", "features": []})
        answer = self.call("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True})
        to.write_bytes(base64.b64decode(answer["data"]))


class _Pipe:
    """Commands and events, each a JSON text that ends in a zero byte."""

    def __init__(self, write_fd: int, read_fd: int) -> None:
        self.events: list[Message] = []
        self._write_fd, self._read_fd = write_fd, read_fd
        self._numbers = itertools.count(1)
        self._rest = b""
        self._seen = 0

    def call(self, method: str, params: Message, session: str = "") -> Message:
        number = next(self._numbers)
        message: Message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                result: Message = answer["result"]
                return result

    def wait_for(self, event: str) -> None:
        """Until the event has happened since the last call of this."""
        while not any(one["method"] == event for one in self.events[self._seen :]):
            self._read()
        self._seen = len(self.events)

    def _read(self, timeout_s: float = 30.0) -> Message:
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            while b"\0" not in self._rest:
                assert selector.select(max(0.0, deadline - time.monotonic())), "the browser says nothing"
                some = os.read(self._read_fd, 1 << 20)
                assert some, "the browser has gone"
                self._rest += some
        text, _, self._rest = self._rest.partition(b"\0")
        message: Message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message


@contextlib.contextmanager
def open_page(browser: str) -> Iterator[Page]:
    """A tab of a browser of its own, with an empty profile; both are gone afterwards."""
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(prefix="crashcart-chromium-", ignore_cleanup_errors=True) as profile:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        arguments += ["--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", "--hide-scrollbars"]
        handover = [sys.executable, "-c", _HANDOVER, str(to_browser), str(from_browser)]
        process = subprocess.Popen(
            [*handover, browser, *arguments, "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        pipe = _Pipe(from_us, to_us)
        try:
            yield Page(pipe)
        finally:
            with contextlib.suppress(OSError, AssertionError):
                pipe.call("Browser.close", {})
            os.close(from_us)
            os.close(to_us)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
