"""Which addresses a handler may call. Pure: judges an address, and resolves or connects to nothing.

The tables are written out because `ipaddress` changed its answers about global addresses between patch
releases of Python. Sources: the IANA special-purpose address registries (RFC 6890), RFC 6052 and RFC 8215
(NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), and the clouds' documentation of their metadata services.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

from flowengine.settings.model import Egress

Address: TypeAlias = IPv4Address | IPv6Address

JUDGED_KEPT: Final = 1024
"""So many verdicts are kept: most calls of a process go to few addresses."""

_FORBIDDEN: Final = (
    (IPv4Network("0.0.0.0/8"), "an unspecified address"),
    (IPv4Network("169.254.0.0/16"), "a link-local address (cloud metadata lives there)"),
    (IPv4Network("100.100.100.200/32"), "a cloud metadata address"),
    (IPv4Network("168.63.129.16/32"), "a cloud metadata address"),
    (IPv4Network("192.0.0.192/32"), "a cloud metadata address"),
    (IPv4Network("224.0.0.0/4"), "a multicast address"),
    (IPv4Network("255.255.255.255/32"), "the broadcast address"),
    (IPv4Network("240.0.0.0/4"), "a reserved address"),
    (IPv6Network("::/128"), "an unspecified address"),
    (IPv6Network("fe80::/10"), "a link-local address"),
    (IPv6Network("ff00::/8"), "a multicast address"),
    # These look like private addresses: AWS (instance metadata and container credentials), Google, Scaleway,
    # Oracle, Akamai, Alibaba.
    (IPv6Network("fd00:ec2::/32"), "a cloud metadata address"),
    (IPv6Network("fd20:ce::254/128"), "a cloud metadata address"),
    (IPv6Network("fd00:42::42/128"), "a cloud metadata address"),
    (IPv6Network("fd00:c1::a9fe:a9fe/128"), "a cloud metadata address"),
    (IPv6Network("fd00:a9fe:a9fe::1/128"), "a cloud metadata address"),
    (IPv6Network("fd00:100::100:200/128"), "a cloud metadata address"),
    # RFC 8215 leaves open where in it an IPv4 address stands (RFC 6052, section 2.2, has four places).
    (IPv6Network("64:ff9b:1::/48"), "a local-use NAT64 address, which may stand for any IPv4 address"),
)
_LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_PRIVATE: Final = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv6Network("fc00::/7"),
    IPv6Network("fec0::/10"),
    IPv6Network("2001:db8::/32"),
)
_ANY_ALLOWS: Final = "FLOWENGINE_EGRESS=any allows it"
_GLOBAL_V6: Final = IPv6Network("2000::/3")

_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")

_METADATA_NAMES: Final = frozenset(
    {
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "instance-data.ec2.internal",
        "metadata.tencentyun.com",
    }
)


def host_refusal(host: str) -> str | None:
    """Why a host name may not be called under any policy, or None."""
    if host.rstrip(".").lower() in _METADATA_NAMES:
        return f"{host} is a cloud metadata service"
    return None


@lru_cache(maxsize=JUDGED_KEPT)
def refusal(address: str | Address, policy: Egress) -> str | None:
    """Why `address` may not be called under `policy`, or None if it may.

    An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64, Teredo) is judged by that one.
    Raises ValueError if the text is no address.
    """
    for judged in carried(address):
        if reason := _reason(judged, policy):
            return f"{address} is {reason}"
    return None


def _reason(address: Address, policy: Egress) -> str | None:
    for network, what in _FORBIDDEN:
        if address in network:
            return what
    if is_loopback(address):
        return None if policy == "any" else f"a loopback address ({_ANY_ALLOWS})"
    if any(address in network for network in _PRIVATE):
        return "a private address (FLOWENGINE_EGRESS=private allows it)" if policy == "public" else None
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return "a reserved address"
    return None


def is_loopback(address: Address) -> bool:
    """Whether it leads to this machine and nowhere else."""
    return any(address in network for network in _LOOPBACK)


def own_refusal(address: str, policy: Egress) -> str | None:
    """Why an address of this machine may not be called under `policy`, or None if it may.

    It reaches the same services as loopback, since most of them listen on all addresses.
    """
    return None if policy == "any" else f"{address} is an address of this machine ({_ANY_ALLOWS})"


def carried(address: str | Address) -> Iterator[Address]:
    """The addresses that it leads to: those that an IPv6 address carries, or itself.

    Raises ValueError if the text is no address.
    """
    return _carried(ip_address(address.split("%")[0]) if isinstance(address, str) else address)


def _carried(address: Address) -> Iterator[Address]:
    if isinstance(address, IPv4Address) or int(address) <= 1:
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address in _COMPATIBLE or address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
