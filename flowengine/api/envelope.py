"""Around every request, outside all else: correlation id, headers, HEAD, one log line, the last resort.

Routing, keys and handlers are inside; so a request that none of them ever sees is treated alike.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import structlog
from litestar.types import HTTPScope, Message, Receive, Send

from flowengine.api.admission import KEY_ID
from flowengine.api.correlation import HEADER, correlation_id_of
from flowengine.api.problems import KINDS, Answer, RefusalError, answer

Inner: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

CORRELATION_ID: Final = "correlation_id"
EXECUTION_ID: Final = "execution_id"
QUIET: Final = frozenset({"/health"})
_MAX_PATH_CHARS: Final = 1024
_FIXED_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}

log = structlog.stdlib.get_logger()


async def handle_request(
    inner: Inner, is_served: Callable[[str], bool], scope: HTTPScope, receive: Receive, send: Send
) -> None:
    """Answer one request through `inner`, whatever happens in there."""
    correlation_id = correlation_id_of(scope["headers"])
    inside: Any = {**scope, "state": {**scope.get("state", {}), CORRELATION_ID: correlation_id}}
    if scope["method"] == "HEAD":
        inside["method"] = "GET"
    response = _Response(send, correlation_id, without_body=scope["method"] == "HEAD")
    started = time.perf_counter()
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        try:
            refusal = _refuse_early(scope, is_served)
            if refusal is None:
                await inner(inside, receive, response.send)
            else:
                await response.refuse(answer(refusal, path=path_of(scope), correlation_id=correlation_id))
        except Exception:  # the API's edge
            log.error("http.request_failed", exc_info=True)
            if response.status is None:
                refusal = RefusalError("internal_error", KINDS["internal_error"].example)
                await response.refuse(answer(refusal, path=path_of(scope), correlation_id=correlation_id))
        finally:
            _log_finished(scope, inside, response.status, time.perf_counter() - started)


def path_of(scope: Any) -> str:
    """The path as it was sent, percent-encoded, without the query string."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("ascii", "replace")


def _refuse_early(scope: HTTPScope, is_served: Callable[[str], bool]) -> RefusalError | None:
    if not is_served(_header(scope["headers"], b"host")):
        return RefusalError(
            "misdirected_request",
            "Without keys only loopback host names are served: set FLOWENGINE_API_KEYS, or start the API "
            "with --insecure where something else keeps strangers out.",
        )
    if len(scope["path"]) > _MAX_PATH_CHARS:
        return RefusalError("route_not_found", f"No path here has more than {_MAX_PATH_CHARS} characters.")
    return None


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


class _Response:
    """What goes out: our headers on every response, no body on HEAD."""

    def __init__(self, send: Send, correlation_id: str, *, without_body: bool) -> None:
        self.status: int | None = None
        self._send = send
        self._correlation_id = correlation_id.encode()
        self._without_body = without_body

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._complete(message["headers"])
        elif message["type"] == "http.response.body" and self._without_body:
            message["body"] = b""
        await self._send(message)

    async def refuse(self, refused: Answer) -> None:
        headers = {**refused.headers, "Content-Length": str(len(refused.body))}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": refused.body, "more_body": False})

    def _complete(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        sent = list(headers)
        names = {name.lower() for name, _ in sent}
        sent.extend((name, value) for name, value in _FIXED_HEADERS.items() if name not in names)
        sent.append((HEADER.lower().encode(), self._correlation_id))
        return sent


def _log_finished(scope: HTTPScope, inside: Any, status: int | None, seconds: float) -> None:
    template = inside.get("path_template", "unmatched")
    write = log.debug if template in QUIET else log.info
    write(
        "http.request_finished",
        method=scope["method"][:16],
        path=template,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        **{name: inside["state"][name] for name in (EXECUTION_ID, KEY_ID) if name in inside["state"]},
    )
