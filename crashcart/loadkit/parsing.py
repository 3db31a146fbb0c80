"""From bytes to an Answer. The parser is geventhttpclient's (llhttp); plain answers that came in one piece skip it."""

from __future__ import annotations

from collections.abc import Callable

from geventhttpclient.response import HTTPParseError, HTTPResponse

from crashcart.loadkit.answers import Answer

HEAD_MAX_BYTES = 1 << 16

__all__ = ["HEAD_MAX_BYTES", "HTTPParseError", "at_once", "read_answer"]


def read_answer(receive: Callable[[], bytes], method: str, body_max_bytes: int) -> tuple[Answer, bool]:
    """The whole answer, and whether the connection may be used again.

    HTTPParseError where it is no HTTP, EOFError where the end came too early, OSError as `receive` raises it.
    """
    data = receive()
    plain = at_once(data, body_max_bytes)
    if plain is not None:
        return plain, True
    response = _Response(method=method)
    left_bytes = body_max_bytes + HEAD_MAX_BYTES
    while True:
        garbled: HTTPParseError | None = None
        try:
            response.feed(data)
        except HTTPParseError as error:
            garbled = error
        answer = response.answer()
        if answer is not None and len(answer.body) <= body_max_bytes:
            # whatever came after it closes the connection and changes nothing
            return answer, garbled is None and not response.should_close()
        left_bytes -= len(data)
        if len(response.body) > body_max_bytes or left_bytes < 0:
            return Answer(status=response.get_code(), broke="too-large", detail=f"over {body_max_bytes} bytes"), False
        if not data:
            raise EOFError("the connection was closed before the answer was whole")
        if garbled is not None:
            raise garbled
        data = receive()


def at_once(data: bytes, body_max_bytes: int) -> Answer | None:
    """The answer, where `data` is exactly one and has nothing special about it; None leaves it to the parser."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or data[:9] != b"HTTP/1.1 " or data[12:13] not in (b" ", b"\r"):
        return None
    head = data[9:end].lower()
    status, length = head[:3], _only(head, b"\r\ncontent-length:")
    if not status.isdigit() or length is None or not length.isdigit() or not 0 < len(length) < 9:
        return None
    if b"\nconnection:" in head or b"\ntransfer-encoding:" in head or b"\r\n " in head or b"\0" in head:
        return None
    size, code = int(length), int(status)
    if not 200 <= code < 600 or code in (204, 304) or size > body_max_bytes or len(data) != end + 4 + size:
        return None
    content_type = _only(head, b"\r\ncontent-type:")
    return Answer(code, data[end + 4 :], "" if content_type is None else content_type.decode("latin-1"))


def _only(head: bytes, name: bytes) -> bytes | None:
    """The value of a header that stands there once."""
    start = head.find(name)
    if start < 0 or head.find(name, start + 1) >= 0:
        return None
    start += len(name)
    stop = head.find(b"\r\n", start)
    return head[start : stop if stop >= 0 else len(head)].strip()


class _Response(HTTPResponse):
    """The parser, which keeps the first final answer and nothing that comes after it."""

    _final: Answer | None = None

    def answer(self) -> Answer | None:
        """None while it is not whole."""
        return self._final

    @property
    def body(self) -> bytearray:
        return self._body_buffer

    def _on_message_begin(self) -> None:
        if self._final is not None:
            raise HTTPParseError("more than one answer")
        super()._on_message_begin()

    def _on_message_complete(self) -> None:
        super()._on_message_complete()
        if self._final is None and self.get_code() >= 200:
            content_type = self.get("content-type")
            self._final = Answer(
                status=self.get_code(),
                body=bytes(self._body_buffer),
                content_type=content_type if isinstance(content_type, str) else "",
            )
