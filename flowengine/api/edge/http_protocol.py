"""HTTP/1.1 as it is read from a connection: llhttp through httptools, and a bound on a request's head.

httptools keeps a head of any size. What it refuses is answered with a problem document here, as everything
else that is refused.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowengine.api.edge.correlation_id import HEADER, choose_correlation_id
from flowengine.api.edge.problem_documents import MEDIA_TYPE, RefusalError, problem_response

MAX_HEAD_BYTES: Final = 64 * 1024
_AROUND_A_HEADER: Final = len(b": \r\n")


class HeadTooLargeError(ValueError):
    """A request's head has more than MAX_HEAD_BYTES."""


class WrongHeadError(ValueError):
    """A request's head is one that no server may take."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol. What is no HTTP, or has too large a head, is refused, and the connection ends."""

    _in_head = False
    """Whether a head has begun and not ended."""
    _arrived = 0
    """Bytes that came while a head was incomplete: a header shows only once all of it is here. Those that its
    first line came with do not count, as the body before it may be among them."""
    _hosts = 0
    _wrong: str | None = None
    """Why this head is refused, where the parser would take it."""
    _read = 0
    """Bytes of the lines of this head that were read."""

    def data_received(self, data: bytes) -> None:
        """Read what came. Bytes that belong to a head are counted before and after they can be read."""
        self._arrived = self._arrived + len(data) if self._in_head else 0
        super().data_received(data)
        if self._in_head and self._arrived > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_too_large())

    def on_message_begin(self) -> None:
        self._in_head = True
        self._read = self._hosts = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _AROUND_A_HEADER)
        self._check(name.lower(), value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser gave up on."""
        too_large = self._read > MAX_HEAD_BYTES
        self._refuse(_too_large() if too_large else RefusalError("bad_request", self._wrong or msg))

    def _check(self, name: bytes, value: bytes) -> None:
        """What a server must refuse and llhttp takes (RFC 9112, sections 3.2 and 6.1)."""
        self._hosts += name == b"host"
        if self._hosts > 1:
            self._wrong = "A request has one Host header; this has several."
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            self._wrong = "The only Transfer-Encoding that is understood is chunked."
        if self._wrong is not None:
            raise WrongHeadError  # as below

    def _count(self, size: int) -> None:
        self._read += size
        if self._read > MAX_HEAD_BYTES:
            raise HeadTooLargeError  # the parser stops, and says so to `data_received`

    def _unsupported_upgrade_warning(self) -> None:
        """No protocol is changed to. What comes after such a request is not read: it ends the connection."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _refuse(self, refusal: RefusalError) -> None:
        correlation_id = choose_correlation_id([])
        refused = problem_response(refusal, path="/", correlation_id=correlation_id)
        headers = {
            **refused.headers,
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(refused.body)),
            "Connection": "close",
            HEADER: correlation_id,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {refused.status} Bad Request\r\n{lines}\r\n".encode() + refused.body)
        self.transport.close()


def _too_large() -> RefusalError:
    return RefusalError("bad_request", f"A request's head may have {MAX_HEAD_BYTES} bytes; this has more.")
