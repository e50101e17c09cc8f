"""Which requests need a key, and whether they have one.

A route needs no key only if its own `opt` says so. The path of a request decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from flowengine.api.access.api_keys import KeyRing
from flowengine.api.edge.problem_documents import RefusalError

NEEDS_NO_KEY: Final = "needs_no_key"
"""In the `opt` of a route that is open to everyone."""
KEY_ID: Final = "api_key"
"""In the state of a request: the id of the key that it carries."""

_MAX_CREDENTIAL_CHARS: Final = 1024

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]


def key_guard(keys: KeyRing) -> Guard:
    """The guard of every route. If there are keys, a request without one reaches marked routes only."""

    def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        if not keys or handler.opt.get(NEEDS_NO_KEY) is True:
            return
        credential = _credential(connection)
        owner = keys.owner(credential) if credential else None
        if owner is None:
            challenge = 'Bearer realm="flowengine"' + (', error="invalid_token"' if credential else "")
            raise RefusalError("unauthorized", headers={"WWW-Authenticate": challenge})
        connection.scope["state"][KEY_ID] = owner

    return guard


def may_read_docs(keys: KeyRing, connection: Connection) -> bool:
    """Whether the caller could open /docs."""
    credential = _credential(connection)
    return not keys or (credential is not None and keys.owner(credential) is not None)


def _credential(connection: Connection) -> str | None:
    sent = connection.headers.getall("authorization", [])
    scheme, _, credential = (sent[0] if len(sent) == 1 else "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not 0 < len(credential) <= _MAX_CREDENTIAL_CHARS:
        return None
    return credential
