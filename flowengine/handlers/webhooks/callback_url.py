"""What can be said of a `callback_url` before anything is sent there. Resolves no name, connects nowhere.

The rest is judged where the connection is made: a name may lead anywhere, and elsewhere tomorrow.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from flowengine.handlers.http.network.egress_rules import host_refusal, refusal
from flowengine.handlers.http.outgoing_request import wrong_with_url
from flowengine.settings.model import Egress

MAX_CHARS: Final = 2048
_LOCAL: Final = "localhost"


def wrong_with_callback_url(url: str, policy: Egress) -> str | None:
    """Why no results can be sent there, or None. Quotes nothing but the host: the rest may be a secret."""
    if len(url) > MAX_CHARS:
        return f"it has {len(url)} characters; the limit is {MAX_CHARS}"
    if problem := wrong_with_url(url):
        return problem.removeprefix("url ")
    host = urlsplit(url.strip(" ")).hostname or ""
    why = host_refusal(host) or _refused_address(host, policy)
    return None if why is None else f"calling {host} is not allowed: {why}"


def _refused_address(host: str, policy: Egress) -> str | None:
    name = host.rstrip(".").lower()
    if name == _LOCAL or name.endswith(f".{_LOCAL}"):
        return refusal("127.0.0.1", policy)
    try:
        address = ip_address(name)
    except ValueError:
        return None
    return refusal(address, policy)
