"""The connections of an event loop's HTTP client: to send takes the same time however many requests are under
way.

httpcore's pool looks at all of its connections and requests at each: a thousand calls at once take thirty
seconds of CPU. Here each request that finds no idle connection to its origin opens one, and its connection is
kept for the next request if few enough are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from ssl import SSLContext
from typing import Final, TypeAlias

import httpcore
import httpx

from flowengine.handlers.http.http1_connection import Http1Connection, Timeouts
from flowengine.handlers.http.network.guarded_connections import AsyncGuardedBackend

_Place: TypeAlias = tuple[str, str, int]

_PORTS: Final = {"http": 80, "https": 443}
MAX_PORT: Final = 65_535

_ERRORS: Final[dict[type[Exception], type[httpx.TransportError]]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}
"""httpcore's errors as httpx's, which are what handlers see."""
_CAUGHT: Final = tuple(_ERRORS)


class AsyncPool(httpx.AsyncBaseTransport):
    """For one event loop. `kept` connections wait for their next request, for `kept_s` seconds."""

    def __init__(
        self, *, ssl_context: SSLContext, kept: int, kept_s: float, connections: AsyncGuardedBackend
    ) -> None:
        ssl_context.set_alpn_protocols(["http/1.1"])
        self._ssl_context = ssl_context
        self._kept = kept
        self._kept_s = kept_s
        self._connections = connections
        self._idle: dict[_Place, deque[Http1Connection]] = {}
        self._idle_count = 0
        self._busy: set[Http1Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, unread. Raises httpx's errors."""
        place = _place_of(request.url)
        timeouts: Timeouts = request.extensions.get("timeout", {})
        try:
            connection = await self._idle_to(place)
            if connection is None:
                connection = await self._opened(place, request, timeouts)
            self._busy.add(connection)
            try:
                head = await connection.send(request, timeouts)
            except BaseException:
                await self._close(connection)
                raise
        except _CAUGHT as error:
            raise _ERRORS[type(error)](str(error)) from error
        if head.status_code == 101 or (request.method == "CONNECT" and head.status_code < 300):
            connection.hand_over()
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(self, connection, place, timeouts.get("read")),
            extensions={
                "http_version": b"HTTP/" + head.http_version,
                "reason_phrase": head.reason,
                "network_stream": connection.stream,
            },
        )

    async def give_back(self, connection: Http1Connection, place: _Place) -> None:
        """A request is over. Its connection is kept if it can be used again."""
        if not connection.finish() or self._idle_count >= self._kept:
            await self._close(connection)
            return
        self._busy.discard(connection)
        self._idle.setdefault(place, deque()).append(connection)
        self._idle_count += 1

    async def aclose(self) -> None:
        """Close all connections."""
        idle = [connection for waiting in self._idle.values() for connection in waiting]
        self._idle.clear()
        self._idle_count = 0
        await self._close(*idle, *self._busy)

    async def _idle_to(self, place: _Place) -> Http1Connection | None:
        waiting = self._idle.get(place)
        while waiting:
            connection = waiting.pop()
            self._idle_count -= 1
            if not waiting:
                self._idle.pop(place, None)
            if connection.is_usable:
                return connection
            await self._close(connection)
        return None

    async def _opened(self, place: _Place, request: httpx.Request, timeouts: Timeouts) -> Http1Connection:
        await self._close_unusable()
        scheme, host, port = place
        limit = timeouts.get("connect")
        stream = await self._connections.connect_tcp(host, port, limit)
        if scheme == "https":
            name: str = request.extensions.get("sni_hostname") or host
            try:
                stream = await stream.start_tls(self._ssl_context, name, limit)
            except BaseException:
                await stream.aclose()
                raise
        return Http1Connection(stream, self._kept_s)

    async def _close_unusable(self) -> None:
        """Those that wait for other origins must not keep this one's from being kept, once they are old."""
        if self._idle_count < self._kept:
            return
        unusable: list[Http1Connection] = []
        # Nothing is waited for between two of them: another task might take, or give back, meanwhile.
        for place, waiting in list(self._idle.items()):
            old = [connection for connection in waiting if not connection.is_usable]
            for connection in old:
                waiting.remove(connection)
            self._idle_count -= len(old)
            unusable += old
            if not waiting:
                del self._idle[place]
        await self._close(*unusable)

    async def _close(self, *connections: Http1Connection) -> None:
        self._busy.difference_update(connections)
        for connection in connections:
            await connection.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer. The caller closes it, read or not."""

    def __init__(
        self, pool: AsyncPool, connection: Http1Connection, place: _Place, timeout: float | None
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._place = place
        self._timeout = timeout
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self._connection.piece(self._timeout)) is not None:
                yield piece
        except _CAUGHT as error:
            await self.aclose()
            raise _ERRORS[type(error)](str(error)) from error
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """The connection is free for another request."""
        if not self._is_closed:
            self._is_closed = True
            await self._pool.give_back(self._connection, self._place)


def _place_of(url: httpx.URL) -> _Place:
    """An origin as a key. Raises httpx.UnsupportedProtocol, httpx.InvalidURL."""
    if url.scheme not in _PORTS:
        raise httpx.UnsupportedProtocol(f"the address begins with {url.scheme!r}, not with http or https")
    port = url.port or _PORTS[url.scheme]
    if port > MAX_PORT:
        raise httpx.InvalidURL(f"Invalid port: it is over {MAX_PORT}")
    return url.scheme, url.raw_host.decode("ascii"), port
