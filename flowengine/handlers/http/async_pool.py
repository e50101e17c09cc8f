"""The connections of an event loop's HTTP client. As httpcore's pool, but to send takes the same time however
many requests are under way.

httpcore's pool looks at all of its connections and requests at each: a thousand calls at once take thirty
seconds of CPU. Here each request that finds no idle connection to its origin opens one, and its connection is
kept for the next request if few enough are. The connections themselves are httpcore's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from ssl import SSLContext
from types import TracebackType
from typing import Self, TypeAlias

import httpcore

_Place: TypeAlias = tuple[bytes, bytes, int]


class AsyncPool:
    """For one event loop. `kept` connections wait for their next request, for `kept_s` seconds."""

    def __init__(
        self,
        *,
        ssl_context: SSLContext,
        kept: int,
        kept_s: float,
        network_backend: httpcore.AsyncNetworkBackend,
    ) -> None:
        self._ssl_context = ssl_context
        self._kept = kept
        self._kept_s = kept_s
        self._backend = network_backend
        self._idle: dict[_Place, deque[httpcore.AsyncHTTPConnection]] = {}
        self._idle_count = 0
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The answer, unread. Raises httpcore's errors."""
        scheme = request.url.scheme.decode()
        if scheme not in ("http", "https"):
            raise httpcore.UnsupportedProtocol(f"the address begins with {scheme!r}, not with http or https")
        while True:
            connection = await self._connection_to(request.url.origin)
            self._busy.add(connection)
            try:
                response = await connection.handle_async_request(request)
            except httpcore.ConnectionNotAvailable:
                # The other side has closed it while it was idle.
                await self._close(connection)
                continue
            except BaseException:
                await self._close(connection)
                raise
            return httpcore.Response(
                status=response.status,
                headers=response.headers,
                content=_Body(response, self, connection, request.url.origin),
                extensions=response.extensions,
            )

    async def give_back(self, connection: httpcore.AsyncHTTPConnection, origin: httpcore.Origin) -> None:
        """A request is over. Its connection is kept if it can be used again."""
        if not connection.is_idle() or self._idle_count >= self._kept:
            await self._close(connection)
            return
        self._busy.discard(connection)
        self._idle.setdefault(_place(origin), deque()).append(connection)
        self._idle_count += 1

    async def aclose(self) -> None:
        """Close all connections."""
        idle = [connection for waiting in self._idle.values() for connection in waiting]
        self._idle.clear()
        self._idle_count = 0
        for connection in [*idle, *self._busy]:
            await self._close(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def _connection_to(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        waiting = self._idle.get(_place(origin))
        while waiting:
            connection = waiting.pop()
            self._idle_count -= 1
            if not waiting:
                self._idle.pop(_place(origin), None)
            if connection.is_available() and not connection.has_expired():
                return connection
            await self._close(connection)
        await self._close_expired()
        return httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._kept_s,
            network_backend=self._backend,
        )

    async def _close_expired(self) -> None:
        """Those that wait for other origins must not keep this one's from being kept, once they are old."""
        if self._idle_count < self._kept:
            return
        for place, waiting in list(self._idle.items()):
            expired = [connection for connection in waiting if connection.has_expired()]
            for connection in expired:
                waiting.remove(connection)
                self._idle_count -= 1
            if not waiting:
                del self._idle[place]
            for connection in expired:
                await self._close(connection)

    async def _close(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._busy.discard(connection)
        await connection.aclose()


class _Body:
    """The body of an answer. The caller closes it, read or not."""

    def __init__(
        self,
        response: httpcore.Response,
        pool: AsyncPool,
        connection: httpcore.AsyncHTTPConnection,
        origin: httpcore.Origin,
    ) -> None:
        self._response = response
        self._origin = origin
        self._pool = pool
        self._connection = connection
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                yield part
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """The connection is free for another request."""
        if not self._is_closed:
            self._is_closed = True
            try:
                await self._response.aclose()
            finally:
                await self._pool.give_back(self._connection, self._origin)


def _place(origin: httpcore.Origin) -> _Place:
    """An origin as a key: where two are equal, so are these."""
    return origin.scheme, origin.host, origin.port
