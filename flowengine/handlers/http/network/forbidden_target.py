"""The server of REDIS_URL, which no handler may connect to, and which addresses are this machine's own.

Needs no HTTP library, so that a worker that makes no call does not load one.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from flowengine.handlers.http.network.egress_rules import Address, carried, is_loopback

_REDIS_PORT = 6379


class ForbiddenTarget(msgspec.Struct, frozen=True):
    """A server that no handler may connect to, under any name. `what` says what it is."""

    host: str
    port: int
    what: str

    def refused(self, host: str, addresses: Iterable[str], its_addresses: Iterable[str]) -> list[str]:
        """Those of `addresses` that lead to it, where its own name leads to `its_addresses`."""
        if host.rstrip(".").lower() == self.host.rstrip(".").lower():
            return list(addresses)
        its = {judged for address in its_addresses for judged in carried(address)}
        is_here = any(_is_here(address) for address in its)
        return [
            address
            for address in addresses
            if any(judged in its or (is_here and _is_here(judged)) for judged in carried(address))
        ]


def is_own(address: str) -> bool:
    """Whether it is an address of this machine: only then the kernel calls it from itself. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return bool(probe.getsockname()[0] == probe.getpeername()[0])
    return False


def own_server(redis_url: str) -> ForbiddenTarget | None:
    """The server of REDIS_URL; None if it listens on a unix socket, which no HTTP handler can reach."""
    try:
        parts = urlsplit(redis_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme == "unix":
        return None
    return ForbiddenTarget(host or "localhost", port or _REDIS_PORT, "the server of REDIS_URL")


def _is_here(address: Address) -> bool:
    return is_loopback(address) or is_own(str(address))
