"""Plain connections of an event loop, as httpcore asks for them, on asyncio's own transports.

httpcore's own take several times as long to open: they look for names and race addresses, which has been done
here before. asyncio's streams are left out too: what bounds the time of each of their reads costs as much as
the read. Knows nothing of egress rules and deadlines.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterable
from typing import Any, Final, TypeAlias, cast

import httpcore

SocketOptions: TypeAlias = Iterable[Any]

READ_BYTES: Final = 64 * 1024
MOST_UNREAD_BYTES: Final = 2 * READ_BYTES
"""With more than this unread, nothing more is taken from the system."""


class AsyncioConnections:
    """Opens connections to addresses; names have been looked up before."""

    async def connect_tcp(
        self,
        address: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: SocketOptions | None,
    ) -> AsyncioStream:
        """Raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                transport, received = await loop.create_connection(
                    lambda: _Received(loop), address, port, local_addr=local
                )
        except OSError as error:
            raise _told(error, httpcore.ConnectTimeout, httpcore.ConnectError) from error
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return AsyncioStream(transport, received)


class _Received(asyncio.Protocol):
    """What has come over one connection and was not read, and whether it takes more. The transport tells."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._reading: asyncio.Future[bool] | None = None
        self._writing: asyncio.Future[bool] | None = None
        self.data = bytearray()
        self.ended = False
        """Whether nothing more comes."""
        self.failure: Exception | None = None
        """What the connection was lost by."""
        self.is_lost = False
        self.is_closed_here = False
        """Whether this side has closed it: what has come by then may be a part."""
        self.is_full = False
        """Whether the other side takes less than was sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.carried_by(cast(asyncio.Transport, transport))

    def carried_by(self, transport: asyncio.Transport) -> None:
        """From now on this transport carries it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        self.data += data
        if len(self.data) > MOST_UNREAD_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        _wake(self._reading)

    def eof_received(self) -> bool:
        """Nothing more comes. Returns whether more can be sent: not in an encrypted connection."""
        self.ended = True
        _wake(self._reading)
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        self.ended = self.is_lost = True
        self.is_full = False
        self.failure = error
        self._transport = None
        _wake(self._reading)
        _wake(self._writing)

    def pause_writing(self) -> None:
        """The other side does not take what was sent."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self.is_full = False
        _wake(self._writing)

    async def something(self, timeout: float | None) -> None:
        """Wait until something has come, or nothing more will. Raises TimeoutError."""
        self._reading = self._loop.create_future()
        try:
            await _woken(self._loop, self._reading, timeout)
        finally:
            self._reading = None

    async def room(self, timeout: float | None) -> None:
        """Wait until more can be sent, or nothing more can. Raises TimeoutError."""
        self._writing = self._loop.create_future()
        try:
            await _woken(self._loop, self._writing, timeout)
        finally:
            self._writing = None

    def take(self, most: int) -> bytes:
        """What has come first. The transport goes on where it has waited for that."""
        if len(self.data) <= most:
            data = bytes(self.data)
            self.data.clear()
        else:
            data = bytes(memoryview(self.data)[:most])
            del self.data[:most]
        if self._paused and len(self.data) <= READ_BYTES:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return data


class AsyncioStream(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, transport: asyncio.Transport, received: _Received) -> None:
        self._transport = transport
        self._received = received

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes`; empty at the end. Raises httpcore.ReadTimeout, httpcore.ReadError."""
        received = self._received
        try:
            if not received.data and not received.ended:
                await received.something(timeout)
            if received.is_closed_here:
                raise ConnectionAbortedError("the connection was closed here")
            if not received.data and received.failure is not None:
                raise received.failure
        except OSError as error:
            raise _told(error, httpcore.ReadTimeout, httpcore.ReadError) from error
        return received.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. Raises httpcore.WriteTimeout, httpcore.WriteError."""
        if not buffer:
            return
        try:
            self._transport.write(buffer)
            if self._transport.is_closing():
                await asyncio.sleep(0)  # the loss is told at the loop's next turn
            if self._received.is_full:
                await self._received.room(timeout)
            if self._received.is_lost:
                raise self._received.failure or ConnectionResetError("Connection lost")
        except OSError as error:
            raise _told(error, httpcore.WriteTimeout, httpcore.WriteError) from error

    async def aclose(self) -> None:
        """Close the connection, without waiting for the other side: whatever was to be sent has been."""
        self._received.is_closed_here = True
        self._transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket at its next turn, which may be its last

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncioStream:
        """The same connection, encrypted. Raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                encrypted = await loop.start_tls(
                    self._transport, self._received, ssl_context, server_hostname=server_hostname
                )
            if encrypted is None:
                raise ConnectionResetError("Connection lost")
        except OSError as error:
            self._transport.abort()
            raise _told(error, httpcore.ConnectTimeout, httpcore.ConnectError) from error
        except BaseException:
            self._transport.abort()
            raise
        self._transport = encrypted
        self._received.carried_by(encrypted)
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        match info:
            case "is_readable":
                return bool(self._received.data) or self._received.ended or self._transport.is_closing()
            case "ssl_object":
                return self._transport.get_extra_info("ssl_object")
            case "client_addr":
                return self._transport.get_extra_info("sockname")
            case "server_addr":
                return self._transport.get_extra_info("peername")
            case "socket":
                return self._transport.get_extra_info("socket")
        return None


def _wake(waiting: asyncio.Future[bool] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(True)


async def _woken(
    loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[bool], timeout: float | None
) -> None:
    limit = None if timeout is None else loop.call_later(timeout, _expire, waiting)
    try:
        if not await waiting:
            raise TimeoutError
    finally:
        if limit is not None:
            limit.cancel()


def _expire(waiting: asyncio.Future[bool]) -> None:
    if not waiting.done():
        waiting.set_result(False)


def _told(error: OSError, timeout: type[Exception], failure: type[Exception]) -> Exception:
    """The same as an error of httpcore's."""
    if isinstance(error, TimeoutError):  # the system's own timeout of a connection is one as well
        return timeout(str(error))
    if isinstance(error, ssl.SSLError):
        return failure(str(error))
    # asyncio's own words quote the address.
    return failure(f"[Errno {error.errno}] {os.strerror(error.errno)}" if error.errno else str(error))
