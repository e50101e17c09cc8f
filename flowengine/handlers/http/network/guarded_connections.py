"""Connections that go only where the egress rules allow, and end at the node's deadline.

A name is resolved once, its addresses are checked, and the connection is made to a checked address. So a
resolver that changes its answer between check and connect gains nothing. TLS still verifies the name,
since httpcore passes that on by itself.

This machine's own addresses are loopback by another name. The server of REDIS_URL is no target at all, since
a client that can write there is the operator.

What comes before an answer is bounded too. A server may send interim answers (1xx, RFC 9110 section 15.2)
before the real one; h11 bounds the head of each, and nothing but us bounds their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import queue
import socket
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ssl import SSLContext
from typing import Any, Final, TypeAlias

import httpcore
import httpx

from flowengine.handlers.http.network import network_deadline
from flowengine.handlers.http.network.asyncio_connections import AsyncioConnections
from flowengine.handlers.http.network.egress_rules import (
    JUDGED_KEPT,
    carried,
    host_refusal,
    own_refusal,
    refusal,
)
from flowengine.handlers.http.network.forbidden_target import ForbiddenTarget, is_own
from flowengine.handlers.http.network.name_lookups import NameLookups
from flowengine.handlers.http.network.name_lookups import Resolver as Resolver
from flowengine.handlers.http.service_transports import Origin
from flowengine.settings.model import Egress

SocketOptions: TypeAlias = Iterable[Any]

# Bounds a resolution that has no other limit; glibc itself gives up after about this long.
_RESOLVE_SECONDS: Final = 30.0
# h11 accepts 100 KB for one head; the read that ends the head may bring 64 KB of the body with it.
MAX_HEAD_BYTES: Final = 512 * 1024


class EgressRefusedError(httpx.TransportError):
    """The egress rules (FLOWENGINE_EGRESS) do not allow calling this address."""


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses of a host name, in the order to try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_addresses(host: str, addresses: Sequence[str], policy: Egress) -> list[str]:
    """The addresses that may be called, in the order given. Raises EgressRefusedError if none may."""
    reasons = {address: _refusal(address, policy) for address in addresses}
    allowed = [address for address, reason in reasons.items() if reason is None]
    if not allowed:
        why = next(iter(filter(None, reasons.values())), "it has no address")
        raise EgressRefusedError(f"calling {host} is not allowed: {why}")
    return allowed


def _refusal(address: str, policy: Egress) -> str | None:
    if policy == "any":
        return refusal(address, policy)
    if reason := refusal(address, "private"):
        return reason
    its_own = any(is_own(str(judged)) for judged in carried(address))
    return own_refusal(address, policy) if its_own else refusal(address, policy)


def _except_forbidden(
    host: str, addresses: Sequence[str], forbidden: ForbiddenTarget, its_addresses: Sequence[str]
) -> Sequence[str]:
    """The addresses that do not lead to `forbidden`. Raises EgressRefusedError if none is left."""
    refused = forbidden.refused(host, addresses, its_addresses)
    left = [address for address in addresses if address not in refused]
    if addresses and not left:
        raise EgressRefusedError(f"calling {host} is not allowed: it is {forbidden.what}")
    return left


@lru_cache(maxsize=JUDGED_KEPT)
def _literal(host: str) -> Sequence[str] | None:
    try:
        return (str(ipaddress.ip_address(host.rstrip("."))),)
    except ValueError:
        return None


def _refuse_name(host: str) -> None:
    if reason := host_refusal(host):
        raise EgressRefusedError(f"calling {host} is not allowed: {reason}")


def _left(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    left = network_deadline.bounded(timeout)
    if left is not None and left <= 0:
        raise error("the node's deadline has passed")
    return left


class GuardedBackend(httpcore.NetworkBackend):
    """httpcore's sockets, behind the egress rules and the node's deadline."""

    def __init__(
        self,
        policy: Egress,
        resolver: Resolver = system_resolver,
        forbidden: ForbiddenTarget | None = None,
        own_service: Origin | None = None,
    ) -> None:
        """`own_service`: an address that the operator has named, to which `policy` does not apply."""
        self._policy: Egress = policy
        self._own_service = own_service
        self._resolver = resolver
        self._forbidden = forbidden
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address that answers. Raises EgressRefusedError too."""
        _refuse_name(host)
        addresses = _literal(host) or self._resolve(host, port, _left(timeout, httpcore.ConnectTimeout))
        if self._forbidden is not None and self._forbidden.port == port:
            its = self._addresses_of(self._forbidden, _left(timeout, httpcore.ConnectTimeout))
            addresses = _except_forbidden(host, addresses, self._forbidden, its)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        policy: Egress = "any" if (host.lower(), port) == self._own_service else self._policy
        for address in allowed_addresses(host, addresses, policy):
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                stream = self._sockets.connect_tcp(address, port, left, local_address, socket_options)
                return DeadlineStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: SocketOptions | None = None
    ) -> httpcore.NetworkStream:
        """Always refused."""
        raise EgressRefusedError("calling a unix socket is not allowed")

    def _addresses_of(self, target: ForbiddenTarget, timeout: float | None) -> Sequence[str]:
        with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
            return _literal(target.host) or self._resolve(target.host, target.port, timeout)
        return []

    def _resolve(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        """Resolve in a thread of its own: getaddrinfo takes no timeout."""
        answers: queue.SimpleQueue[Sequence[str] | OSError | UnicodeError] = queue.SimpleQueue()

        def resolve() -> None:
            try:
                answers.put(self._resolver(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=resolve, name="flowengine-resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=_RESOLVE_SECONDS if timeout is None else timeout)
        except queue.Empty:
            raise httpcore.ConnectTimeout(f"resolving {host} took too long") from None
        if isinstance(answer, OSError | UnicodeError):
            raise httpcore.ConnectError(f"cannot resolve {host}: {answer}") from answer
        return answer


class HeadLimit:
    """The part of a connection that bounds what comes between a request and the body of its answer."""

    def __init__(self) -> None:
        self._left: int | None = MAX_HEAD_BYTES

    def expect_head(self) -> None:
        """Start counting: a request is being sent, so the head of an answer comes next."""
        self._left = MAX_HEAD_BYTES

    def end_head(self) -> None:
        """Stop counting: the head has come, and the body is counted elsewhere."""
        self._left = None

    def counted(self, data: bytes) -> bytes:
        """`data`, unchanged. Raises httpcore.RemoteProtocolError if the head is over its limit."""
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise httpcore.RemoteProtocolError(
                    f"more than {MAX_HEAD_BYTES} bytes came, but no answer, only 1xx ones or headers"
                )
        return data


class DeadlineStream(HeadLimit, httpcore.NetworkStream):
    """A connection whose reads and writes also end at the node's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        super().__init__()
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes`. Raises httpcore.ReadTimeout, httpcore.ReadError."""
        return self.counted(self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. Raises httpcore.WriteTimeout, httpcore.WriteError."""
        self.expect_head()
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know of the socket."""
        return self._stream.get_extra_info(info)


class AsyncGuardedBackend(httpcore.AsyncNetworkBackend):
    """The same for an event loop."""

    def __init__(
        self,
        policy: Egress,
        resolver: Resolver = system_resolver,
        forbidden: ForbiddenTarget | None = None,
        own_service: Origin | None = None,
    ) -> None:
        """`own_service`: an address that the operator has named, to which `policy` does not apply."""
        self._policy: Egress = policy
        self._own_service = own_service
        self._names = NameLookups(resolver)
        self._forbidden = forbidden
        self._sockets = AsyncioConnections()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> AsyncDeadlineStream:
        """Connect to the first allowed address that answers. Raises EgressRefusedError too."""
        _refuse_name(host)
        addresses = _literal(host) or await self._resolve(host, port, _left(timeout, httpcore.ConnectTimeout))
        if self._forbidden is not None and self._forbidden.port == port:
            its = await self._addresses_of(self._forbidden, _left(timeout, httpcore.ConnectTimeout))
            addresses = _except_forbidden(host, addresses, self._forbidden, its)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        policy: Egress = "any" if (host.lower(), port) == self._own_service else self._policy
        for address in allowed_addresses(host, addresses, policy):
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                stream = await self._sockets.connect_tcp(address, port, left, local_address, socket_options)
                return AsyncDeadlineStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: SocketOptions | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Always refused."""
        raise EgressRefusedError("calling a unix socket is not allowed")

    async def _addresses_of(self, target: ForbiddenTarget, timeout: float | None) -> Sequence[str]:
        with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
            return _literal(target.host) or await self._resolve(target.host, target.port, timeout)
        return []

    async def _resolve(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS if timeout is None else timeout):
                return await self._names.addresses_of(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"resolving {host} took too long") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"cannot resolve {host}: {error}") from error


class AsyncDeadlineStream(HeadLimit, httpcore.AsyncNetworkStream):
    """The same for an event loop."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        super().__init__()
        self._stream = stream
        self._unread = b""

    def unread(self, data: bytes) -> None:
        """The next reads begin with this."""
        self._unread = data

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes`. Raises httpcore.ReadTimeout, httpcore.ReadError."""
        if self._unread:
            data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
            return data
        return self.counted(await self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout)))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. Raises httpcore.WriteTimeout, httpcore.WriteError."""
        self.expect_head()
        await self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncDeadlineStream:
        """The same connection, encrypted."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return AsyncDeadlineStream(await self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know of the socket."""
        return self._stream.get_extra_info(info)
