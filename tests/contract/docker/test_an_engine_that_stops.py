"""An engine that stops, or breaks off, in the middle of a log. This one is the test's own: no engine is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, socket

import pytest

from crashcart.runtimes.container_leftovers import left_of, remove_run
from crashcart.runtimes.container_logs import gather
from crashcart.runtimes.containers import engine

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = b"\x01\0\0\0\0\0\0\x06hello\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextmanager
def _answering(path: Path, answer: bytes, *, breaks_off: bool) -> Iterator[str]:
    """Says so much to the first who asks; then it hangs up, or says nothing more. Yields a DOCKER_HOST."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(answer)
            if not breaks_off:
                over.wait(30.0)
            connection.shutdown(SHUT_RDWR)

    with socket(AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            over.set()
            thread.join()


def _gathered(host: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long it took, in seconds."""
    monkeypatch.setenv("DOCKER_HOST", host)
    api, began = engine(1), time.monotonic()
    gather(api, "crashcart-run-door-0", log)
    took_s = time.monotonic() - began
    api.close()
    return took_s


def test_what_an_engine_says_to_its_end_is_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, answer = tmp_path / "door[0].log", HEAD + _chunk(LINE + LINE) + _chunk(b"")
    log.write_text("older\n")
    with _answering(tmp_path / "socket", answer, breaks_off=True) as host:
        _gathered(host, log, monkeypatch)
    assert log.read_text() == "hello\nhello\n"


@pytest.mark.parametrize("breaks_off", [True, False], ids=["it breaks off", "it says nothing more"])
def test_of_an_engine_that_does_not_come_to_an_end_the_log_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks_off: bool
) -> None:
    log = tmp_path / "door[0].log"
    log.write_text("older\n")
    with _answering(tmp_path / "socket", HEAD + _chunk(LINE + LINE[:3]), breaks_off=breaks_off) as host:
        took_s = _gathered(host, log, monkeypatch)
    assert took_s < 15.0
    assert log.read_text() == "older\n"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_an_engine_that_says_nothing_is_given_up_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _answering(tmp_path / "socket", b"", breaks_off=False) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        began = time.monotonic()
        left = remove_run("20261001T000000Z-abcd")
        took_s = time.monotonic() - began
        assert left_of("20261001T000000Z-abcd")[0].startswith("the Docker engine does not answer")
    assert left[0].startswith("the Docker engine does not answer")
    assert took_s < 10.0
