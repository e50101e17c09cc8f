"""What one call may ask of the shared clients besides its request, and the transports that serve it.

A service that the operator has named may live where the egress rules let no node go. Its connections are kept
in a pool of their own, so that no other call is ever sent over one of them. The options travel as an
extension of the httpx request, and so along its redirects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

import httpx
import msgspec

EXTENSION: Final = "flowengine"

Origin: TypeAlias = tuple[str, int]
"""A host as it is connected to, in lower case, and a port."""


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`silence_s` is how long the service may send nothing. None of each: as for any other call.

    `max_bytes` and `max_pieces` bound the body. `own_service` is an address that the operator has named, so
    that FLOWENGINE_EGRESS does not apply to it; the addresses that are always refused still are.
    """

    silence_s: float | None = None
    max_bytes: int | None = None
    max_pieces: int | None = None
    own_service: Origin | None = None


NO_OPTIONS: Final = CallOptions()


def options_of(request: httpx.Request) -> CallOptions:
    """What the caller of this request asked for."""
    given = request.extensions.get(EXTENSION)
    return given if isinstance(given, CallOptions) else NO_OPTIONS


def origin_of(url: str) -> Origin:
    """The host and port that a URL leads to. Raises httpx.InvalidURL."""
    parsed = httpx.URL(url)
    return parsed.raw_host.decode().lower(), parsed.port or (443 if parsed.scheme == "https" else 80)


class ServiceTransports(httpx.BaseTransport):
    """Sends each request through the transport of its service, which is made when it is first needed."""

    def __init__(self, make: Callable[[Origin | None], httpx.BaseTransport]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: dict[Origin | None, httpx.BaseTransport] = {None: make(None)}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The response, unread."""
        return self._of(options_of(request).own_service).handle_request(request)

    def close(self) -> None:
        """Close all of them."""
        for transport in self._made.values():
            transport.close()

    def _of(self, service: Origin | None) -> httpx.BaseTransport:
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]


class AsyncServiceTransports(httpx.AsyncBaseTransport):
    """The same for an event loop."""

    def __init__(self, make: Callable[[Origin | None], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._made: dict[Origin | None, httpx.AsyncBaseTransport] = {None: make(None)}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response, unread."""
        service = options_of(request).own_service
        if service not in self._made:
            self._made[service] = self._make(service)
        return await self._made[service].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all of them."""
        for transport in self._made.values():
            await transport.aclose()
