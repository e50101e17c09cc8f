"""Who may come in: which address may be bound, which host names are served, which route needs a key.

Closed by default: a route is open only when its own `opt` says so. What the path looks like is never asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from flowengine.api.access.keys import KeyRing
from flowengine.api.edge.problem_documents import KINDS, RefusalError
from flowengine.errors import SettingsError
from flowengine.settings import Settings

OPEN: Final = "open_without_key"
KEY_ID: Final = "api_key"
_MAX_CREDENTIAL_CHARS: Final = 1024

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]


def check_binding(settings: Settings, host: str, *, insecure: bool) -> None:
    """Raises SettingsError when the API would listen beyond this machine with nothing to keep people out."""
    if settings.api_keys or insecure or is_loopback(host):
        return
    raise SettingsError(
        f"without keys the API listens on loopback only, not on {host or 'all addresses'}: "
        "set FLOWENGINE_API_KEYS (see `flowengine key new`), or say --insecure where something else "
        "keeps strangers out"
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address literal can only mean this machine."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def served_hosts_only(settings: Settings) -> Callable[[str], bool]:
    """Which Host header values are served.

    Without keys the only protection is that nobody else reaches loopback; a web page that points its
    own name at 127.0.0.1 (DNS rebinding) does, but it cannot change the Host header.
    """
    if settings.served_hosts:
        named = frozenset(name.lower().strip("[]") for name in settings.served_hosts)
        return lambda host: _without_port(host).lower().strip("[]") in named
    if settings.api_keys or settings.insecure:
        return lambda _: True
    return lambda host: is_loopback(_without_port(host))


def _without_port(host: str) -> str:
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and ":" in host else host


def key_guard(keys: KeyRing) -> Guard:
    """A guard for every route of the app: without a key only what is marked open, once a key is set."""

    def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        if not keys or handler.opt.get(OPEN) is True:
            return
        credential = _credential(connection)
        owner = keys.owner(credential) if credential else None
        if owner is None:
            challenge = 'Bearer realm="flowengine"' + (', error="invalid_token"' if credential else "")
            raise RefusalError(
                "unauthorized", KINDS["unauthorized"].example, headers={"WWW-Authenticate": challenge}
            )
        connection.scope["state"][KEY_ID] = owner

    return guard


def may_read_docs(keys: KeyRing, connection: Connection) -> bool:
    """Whether it helps the caller to be pointed at /docs."""
    credential = _credential(connection)
    return not keys or (credential is not None and keys.owner(credential) is not None)


def _credential(connection: Connection) -> str | None:
    sent = connection.headers.getall("authorization", [])
    scheme, _, credential = (sent[0] if len(sent) == 1 else "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not 0 < len(credential) <= _MAX_CREDENTIAL_CHARS:
        return None
    return credential
