"""The shared httpx clients of a process: egress rules, bounded bodies, no cookies, no proxies.

Proxy variables and `.netrc` are not read, since a proxy would resolve names without our checks. Knows nothing
of retries, which belong to a call.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Final

import httpcore
import httpx

from flowengine import __version__
from flowengine.handlers.http.async_pool import AsyncPool
from flowengine.handlers.http.body_decoder import (
    ACCEPTED_ENCODINGS,
    MAX_BODY_BYTES,
    MAX_PIECES,
    BodyDecoder,
    BodyEncodingError,
    BodyTooLargeError,
)
from flowengine.handlers.http.network.forbidden_target import ForbiddenTarget
from flowengine.handlers.http.network.guarded_connections import (
    AsyncGuardedBackend,
    GuardedBackend,
    HeadLimit,
    Resolver,
    system_resolver,
)
from flowengine.handlers.http.service_transports import (
    AsyncServiceTransports,
    Origin,
    ServiceTransports,
    options_of,
)
from flowengine.settings.model import Egress

_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
_KEPT_CONNECTIONS: Final = 32
_KEPT_SECONDS: Final = 30.0


UNREADABLE: Final = "flowengine_unreadable"
"""The name of the extension of a response that holds its `Unreadable`."""


class Unreadable:
    """Why the body of a response with an error status could not be decoded to its end; None if it could."""

    reason: str | None = None


class ResponseTooLargeError(httpx.TransportError):
    """The response body is larger than 10 MB, decoded."""


def make_client(
    policy: Egress,
    *,
    resolver: Resolver = system_resolver,
    verify: SSLContext | None = None,
    forbidden: ForbiddenTarget | None = None,
) -> httpx.Client:
    """A client for threads. Close it when the process ends."""
    _quiet()
    context = verify or httpx.create_ssl_context()

    def guarded(own_service: Origin | None) -> httpx.HTTPTransport:
        transport = httpx.HTTPTransport(verify=context)
        # httpx 0.28 has no parameter for the network backend; the dependency is pinned to 0.28 for this.
        transport._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=GuardedBackend(policy, resolver, forbidden, own_service),
        )
        return transport

    client = httpx.Client(
        transport=_BoundedTransport(ServiceTransports(guarded)),
        headers=_headers(),
        timeout=_TIMEOUT,
        trust_env=False,
    )
    client._cookies = _NoCookies()
    return client


def make_async_client(
    policy: Egress,
    *,
    resolver: Resolver = system_resolver,
    verify: SSLContext | None = None,
    forbidden: ForbiddenTarget | None = None,
) -> httpx.AsyncClient:
    """A client for one event loop. Close it there."""
    _quiet()
    context = verify or httpx.create_ssl_context()

    def guarded(own_service: Origin | None) -> AsyncPool:
        return AsyncPool(
            ssl_context=context,
            kept=_KEPT_CONNECTIONS,
            kept_s=_KEPT_SECONDS,
            connections=AsyncGuardedBackend(policy, resolver, forbidden, own_service),
        )

    client = httpx.AsyncClient(
        transport=_AsyncBoundedTransport(AsyncServiceTransports(guarded)),
        headers=_headers(),
        timeout=_TIMEOUT,
        trust_env=False,
    )
    client._cookies = _NoCookies()
    return client


def _headers() -> Mapping[str, str]:
    return {"User-Agent": f"FlowEngine/{__version__}", "Accept-Encoding": ACCEPTED_ENCODINGS}


class _NoCookies(httpx.Cookies):
    """Keeps nothing, so that no node's session leaks into another node's request.

    Put in the place of httpx's own, which makes a copy of what it is given.
    """

    def __init__(self) -> None:
        super().__init__(CookieJar(DefaultCookiePolicy(allowed_domains=[])))

    def extract_cookies(self, response: httpx.Response) -> None:
        """Nothing: to find out that a jar refuses them took a twentieth of a call's CPU."""


def _quiet() -> None:
    """Silence httpx, which logs whole URLs, and httpcore, which logs header values: both may hold secrets."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    try:
        yield
    except BodyTooLargeError as error:
        raise ResponseTooLargeError(str(error)) from error
    except BodyEncodingError as error:
        raise httpx.DecodingError(str(error)) from error


def _decoder_of(response: httpx.Response, request: httpx.Request) -> BodyDecoder:
    options = options_of(request)
    encoding = response.headers.get("content-encoding", "")
    return BodyDecoder(encoding, options.max_bytes or MAX_BODY_BYTES, options.max_pieces or MAX_PIECES)


def _end_head(response: httpx.Response) -> None:
    """Tell the connection that the head of the answer has come."""
    stream = response.extensions.get("network_stream")
    if isinstance(stream, HeadLimit):
        stream.end_head()


def _headers_after(decoder: BodyDecoder, request: httpx.Request, response: httpx.Response) -> httpx.Headers:
    """The headers without those that describe the coded body, if there is a body and it is decoded."""
    if not decoder.coding or request.method == "HEAD" or response.status_code in (204, 304):
        return response.headers
    kept = response.headers.copy()
    del kept["content-encoding"]
    kept.pop("content-length", None)
    return kept


@contextmanager
def _as_body_errors(unreadable: Unreadable | None) -> Iterator[None]:
    """A body's errors; of an error status only a note is kept, since its status is what matters."""
    try:
        with _as_httpx_errors():
            yield
    except httpx.DecodingError as error:
        if unreadable is None:
            raise
        unreadable.reason = str(error)


class _BoundedStream(httpx.SyncByteStream):
    def __init__(
        self, stream: httpx.SyncByteStream, decoder: BodyDecoder, unreadable: Unreadable | None
    ) -> None:
        self._stream = stream
        self._decoder = decoder
        self._unreadable = unreadable

    def __iter__(self) -> Iterator[bytes]:
        with _as_body_errors(self._unreadable):
            for chunk in self._stream:
                yield from self._decoder.pieces(chunk)
            self._decoder.finish()

    def close(self) -> None:
        self._stream.close()


class _BoundedTransport(httpx.BaseTransport):
    """Answers with decoded bodies, which end with an error at the limit.

    The body of an error status that cannot be decoded ends without an error, so that the status decides.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._transport.handle_request(request)
        _end_head(response)
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("a sync transport answered with an async stream")
        decoder = _decoder_of(response, request)
        unreadable = Unreadable() if response.is_error else None
        return httpx.Response(
            response.status_code,
            headers=_headers_after(decoder, request, response),
            stream=_BoundedStream(response.stream, decoder, unreadable),
            extensions={**response.extensions, UNREADABLE: unreadable},
        )

    def close(self) -> None:
        self._transport.close()


class _AsyncBoundedStream(httpx.AsyncByteStream):
    def __init__(
        self, stream: httpx.AsyncByteStream, decoder: BodyDecoder, unreadable: Unreadable | None
    ) -> None:
        self._stream = stream
        self._decoder = decoder
        self._unreadable = unreadable

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_body_errors(self._unreadable):
            async for chunk in self._stream:
                for piece in self._decoder.pieces(chunk):
                    yield piece
            self._decoder.finish()

    async def aclose(self) -> None:
        await self._stream.aclose()


class _AsyncBoundedTransport(httpx.AsyncBaseTransport):
    """The same for an event loop."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        _end_head(response)
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an async transport answered with a sync stream")
        decoder = _decoder_of(response, request)
        unreadable = Unreadable() if response.is_error else None
        response.headers = _headers_after(decoder, request, response)
        response.stream = _AsyncBoundedStream(response.stream, decoder, unreadable)
        response.extensions[UNREADABLE] = unreadable
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()
