"""Plain connections of an event loop, as httpcore asks for them, on asyncio's own transports.

httpcore's own take several times as long to open: they look for names and race addresses, which has been done
here before. Knows nothing of egress rules and deadlines.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, SupportsIndex, TypeAlias

import httpcore

SocketOptions: TypeAlias = Iterable[Any]

READ_BYTES: Final = 64 * 1024


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
        reader = _Reader(limit=READ_BYTES, loop=loop)
        local = None if local_address is None else (local_address, 0)
        with _as_errors(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                transport, protocol = await loop.create_connection(
                    lambda: asyncio.StreamReaderProtocol(reader, loop=loop), address, port, local_addr=local
                )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return AsyncioStream(reader, writer)


class _Reader(asyncio.StreamReader):
    """Knows whether something has come that nobody has read."""

    fed = 0
    taken = 0
    ended = False

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Called by the transport, with bytes."""
        self.fed += len(bytes(data))
        super().feed_data(data)

    def feed_eof(self) -> None:
        """Called by the transport."""
        self.ended = True
        super().feed_eof()

    @property
    def is_readable(self) -> bool:
        """Whether a read would return at once."""
        return self.ended or self.fed > self.taken or self.exception() is not None


class AsyncioStream(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes`; empty at the end. Raises httpcore.ReadTimeout, httpcore.ReadError."""
        with _as_errors(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                data = await self._reader.read(max_bytes)
        self._reader.taken += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. Raises httpcore.WriteTimeout, httpcore.WriteError."""
        if not buffer:
            return
        with _as_errors(httpcore.WriteTimeout, httpcore.WriteError):
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()

    async def aclose(self) -> None:
        """Close the connection, without waiting for the other side: whatever was to be sent has been."""
        self._writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket at its next turn, which may be its last

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncioStream:
        """The same connection, encrypted. Raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        try:
            with _as_errors(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            self._writer.transport.abort()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        match info:
            case "is_readable":
                return self._reader.is_readable or self._writer.is_closing()
            case "ssl_object":
                return self._writer.get_extra_info("ssl_object")
            case "client_addr":
                return self._writer.get_extra_info("sockname")
            case "server_addr":
                return self._writer.get_extra_info("peername")
            case "socket":
                return self._writer.get_extra_info("socket")
        return None


@contextmanager
def _as_errors(timeout: type[Exception], failure: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        # The system's own timeout of a connection is one as well.
        raise timeout(str(error)) from error
    except ssl.SSLError as error:
        raise failure(str(error)) from error
    except OSError as error:
        # asyncio's own words quote the address.
        said = f"[Errno {error.errno}] {os.strerror(error.errno)}" if error.errno else str(error)
        raise failure(said) from error
