"""One HTTP/1.1 connection of an event loop: one request at a time, its answer, and whether another may come.

What a message is, and what may follow what, is for h11 to say, as in httpcore's own connection. That takes
twice the CPU: it locks what only one request uses, and tells of each step those who might trace it. Errors
are httpcore's. The sender of a request reads its answer, and then calls `finish` or `aclose`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TypeAlias

import h11
import httpcore
import httpx

from flowengine.handlers.http.network.guarded_connections import AsyncDeadlineStream

READ_BYTES: Final = 64 * 1024
MAX_HEAD_BYTES: Final = 100 * 1024
"""Of one head, interim or final."""
JOINED_BYTES: Final = 64 * 1024
"""A body of at most so many bytes is sent together with its head."""

Head: TypeAlias = h11.Response | h11.InformationalResponse
Timeouts: TypeAlias = Mapping[str, float | None]
"""Seconds without a byte: `connect`, `read`, `write`."""


class Http1Connection:
    """Over `stream`. Once it is idle, it can be used for `kept_s` seconds."""

    def __init__(self, stream: AsyncDeadlineStream, kept_s: float) -> None:
        self.stream = stream
        self._kept_s = kept_s
        self._usable_until: float | None = None
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def send(self, request: httpx.Request, timeouts: Timeouts) -> Head:
        """Send the request. The head of its answer, or what says that the protocol changes.

        Raises httpcore's LocalProtocolError, RemoteProtocolError, ReadError, timeouts.
        """
        # A service may answer before it has read everything, and close.
        with suppress(httpcore.WriteError):
            await self._send(request, timeouts.get("write"))
        while True:
            event = await self._next(timeouts.get("read"))
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                return event

    async def piece(self, timeout: float | None) -> bytes | None:
        """The next piece of the answer's body; None at its end."""
        while True:
            event = await self._next(timeout)
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return None

    def hand_over(self) -> None:
        """From now on what comes is no HTTP: the stream gives it to its reader, from its first byte on."""
        self.stream.unread(self._state.trailing_data[0])

    def finish(self) -> bool:
        """The answer is over. Returns whether another request can be sent, now or later."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        # What came behind the answer would be taken for that of the next request.
        beyond, is_closed = self._state.trailing_data
        if beyond or is_closed or self.stream.get_extra_info("is_readable"):
            return False
        self._state.start_next_cycle()
        self._usable_until = time.monotonic() + self._kept_s
        return True

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent: it is idle, not for too long, and not closed by the service."""
        until = self._usable_until
        # A service has nothing to say now but that it closes.
        return (
            until is not None and time.monotonic() <= until and not self.stream.get_extra_info("is_readable")
        )

    async def aclose(self) -> None:
        """Close it, whatever goes on."""
        await self.stream.aclose()

    async def _send(self, request: httpx.Request, timeout: float | None) -> None:
        try:
            data = self._state.send(
                h11.Request(
                    method=request.method,
                    target=request.extensions.get("target", request.url.raw_path),
                    headers=request.headers.raw,
                )
            )
            data = data or b""
            if isinstance(request.stream, httpx.ByteStream):
                data = await self._send_known(request.stream, data, timeout)
            elif isinstance(request.stream, httpx.AsyncByteStream):
                await self.stream.write(data, timeout)
                async for chunk in request.stream:
                    await self.stream.write(self._state.send(h11.Data(data=chunk)) or b"", timeout)
                data = b""
            data += self._state.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        await self.stream.write(data, timeout)

    async def _send_known(self, body: httpx.ByteStream, head: bytes, timeout: float | None) -> bytes:
        """Send what is large. Returns what is left to be sent."""
        left = head
        for chunk in filter(None, body):
            data = self._state.send(h11.Data(data=chunk)) or b""
            if len(left) + len(data) > JOINED_BYTES:
                await self.stream.write(left, timeout)
                left = data
            else:
                left += data
        return left

    async def _next(self, timeout: float | None) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore.RemoteProtocolError(str(error)) from error
            if not isinstance(event, type) or event is h11.PAUSED:
                return event
            data = await self.stream.read(READ_BYTES, timeout)
            if not data and self._state.their_state is h11.SEND_RESPONSE:
                # h11's own words are about its states.
                raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
            self._state.receive_data(data)
