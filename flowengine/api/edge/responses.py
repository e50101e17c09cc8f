"""What goes out: our headers on every response, no body for HEAD, a compressed one for those who ask, large
bodies in pieces and within a budget.

A server writes what it is given into a buffer that has no bound. If it is given a piece at a time, it waits
until the caller has taken it: a large body is held once, and counts until nearly all of it has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from litestar import Response
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Message, Send

from flowengine.api.compression.gzip_coding import (
    LARGEST_PLAIN_BYTES,
    VARY,
    InThread,
    admits_gzip,
    gzip_once,
    shrinks,
)
from flowengine.api.edge.correlation_id import HEADER
from flowengine.api.edge.large_body_memory import BudgetShare, MemoryBudget
from flowengine.api.edge.problem_documents import MEDIA_TYPE, RefusalError, allow_header, problem_response
from flowengine.settings import Limits

BUDGET_BYTES: Final = 128 * 1024 * 1024
"""What the large bodies that a process sends at once may take together."""

_PIECE: Final = 256 * 1024
_FIXED_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}


def response_budget(limits: Limits) -> MemoryBudget:
    """Enough for the results of several executions, or for those of the two largest."""
    size = max(BUDGET_BYTES, 2 * limits.max_execution_result_bytes)
    return MemoryBudget(size, "Too many large answers are being sent at once; try again.")


def json_response(
    data: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """A response of JSON, encoded already."""
    return Response(data, status_code=status, headers=headers, media_type="application/json")


class OutgoingResponse:
    """One response. `status` is what the caller was sent, None before that. `in_thread`: where a large one is
    compressed."""

    def __init__(
        self,
        send: Send,
        share: BudgetShare,
        scope: HTTPScope,
        in_thread: InThread,
        *,
        path: str,
        correlation_id: str,
    ) -> None:
        self.status: int | None = None
        self._send = send
        self._share = share
        self._path = path
        self._correlation_id = correlation_id
        self._asked = scope["headers"]
        self._has_body = scope["method"] != "HEAD"
        self._in_thread = in_thread
        self._start: HTTPResponseStartEvent | None = None

    async def send(self, message: Message) -> None:
        """ASGI's `send` for the application. The head waits until the body is known to fit the budget."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            is_part = message["more_body"]
            try:
                # A part of a stream has gone before the next one comes: it is never held.
                self._share.take(len(message["body"]) if self._has_body and not is_part else 0)
            except RefusalError as refusal:
                if self._start is None:
                    raise
                await self.refuse(refusal)
            else:
                if is_part:
                    await self._send_parts([message["body"]], more=True)
                else:
                    await self._send_whole(message["body"])
        else:
            await self._send(message)

    async def refuse(self, refusal: RefusalError) -> None:
        """Answer with this refusal, unless a part of another answer has been sent."""
        if self.status is not None:
            return
        refused = problem_response(refusal, path=self._path, correlation_id=self._correlation_id)
        length = str(len(refused.body))
        headers = {"Content-Type": MEDIA_TYPE, **refused.headers, "Content-Length": length}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._start = {"type": "http.response.start", "status": refused.status, "headers": raw}
        await self._send_whole(refused.body)

    async def _send_whole(self, body: bytes) -> None:
        parts = [body]
        if self._start is not None and len(body) > LARGEST_PLAIN_BYTES:
            parts = await self._in_the_form_asked_for(self._start, body)
        await self._send_parts(parts)

    async def _in_the_form_asked_for(self, start: HTTPResponseStartEvent, body: bytes) -> list[bytes]:
        """The parts of the body, compressed if that is possible and wanted; the head says so."""
        headers = {name.lower(): value for name, value in start["headers"]}
        media_type = headers.get(b"content-type", b"").decode("latin-1")
        if b"content-encoding" in headers or not shrinks(media_type, len(body)):
            return [body]
        start["headers"] = [*start["headers"], VARY]
        if not admits_gzip(self._asked):
            return [body]
        parts = await gzip_once(body, self._share, self._in_thread) if self._has_body else []
        if parts is None:
            return [body]
        kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        # HEAD is told no length: it would have to be compressed to be known.
        length = [(b"content-length", str(sum(map(len, parts))).encode())] if self._has_body else []
        start["headers"] = [*kept, (b"content-encoding", b"gzip"), *length]
        return parts

    async def _send_parts(self, parts: list[bytes], *, more: bool = False) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            self.status = start["status"]
            await self._send({**start, "headers": self._complete(start["headers"])})
        for message in _pieces(parts if self._has_body else [], more=more):
            await self._send(message)

    def _complete(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        sent = _allowing_head(headers)
        names = {name.lower() for name, _ in sent}
        sent.extend((name, value) for name, value in _FIXED_HEADERS.items() if name not in names)
        sent.append((HEADER.lower().encode(), self._correlation_id.encode()))
        return sent


def _allowing_head(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Litestar's own response to OPTIONS leaves HEAD out, because HEAD is answered here."""
    return [
        (
            name,
            value if name.lower() != b"allow" else allow_header(value.decode("latin-1").split(",")).encode(),
        )
        for name, value in headers
    ]


def _pieces(parts: list[bytes], *, more: bool) -> Iterator[HTTPResponseBodyEvent]:
    left = sum(map(len, parts))
    if not left:
        yield {"type": "http.response.body", "body": b"", "more_body": more}
    for part in parts:
        for begin in range(0, len(part), _PIECE):
            piece = part[begin : begin + _PIECE]
            left -= len(piece)
            yield {"type": "http.response.body", "body": piece, "more_body": more or left > 0}
