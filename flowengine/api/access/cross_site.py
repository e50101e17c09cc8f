"""Whether a page of another site made a browser send a request.

A page may send a POST without a body to any address, 127.0.0.1 included, and nobody asks its reader. Browsers
say where a request comes from, in `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/) or, older ones and
those that speak plain HTTP to another machine, in `Origin` (RFC 6454). Other callers send neither header.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1), so that a page of another site gains nothing."""

_OWN_SITES: Final = (b"same-origin", b"none")
"""From a page of ours; from the reader: the address bar, a bookmark."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_cross_site(method: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether it is unsafe and the browser says that no page of ours sent it.

    `Sec-Fetch-Site` decides where it is sent. Otherwise `Origin` must be the address that the request was
    sent to, port included. The scheme is not compared: behind a proxy that ends TLS it is not known.
    """
    if method in SAFE_METHODS:
        return False
    sent = list(headers)
    sites = [value for name, value in sent if name == b"sec-fetch-site"]
    origins = [value for name, value in sent if name == b"origin"]
    if sites:
        return len(sites) > 1 or sites[0] not in _OWN_SITES
    host = next((value for name, value in sent if name == b"host"), b"")
    return bool(origins) and (len(origins) > 1 or not _is_origin_of(origins[0], host))


def _is_origin_of(origin: bytes, host: bytes) -> bool:
    scheme, _, authority = origin.decode("latin-1").lower().partition("://")
    if scheme not in _DEFAULT_PORTS:
        return False
    theirs, ours = (_address(text, scheme) for text in (authority, host.decode("latin-1").lower()))
    return theirs is not None and theirs == ours


def _address(authority: str, scheme: str) -> tuple[str, int] | None:
    """Host name and port; None for what is no plain authority."""
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.netloc != authority or "@" in authority:
        return None
    return parts.hostname, _DEFAULT_PORTS[scheme] if port is None else port
