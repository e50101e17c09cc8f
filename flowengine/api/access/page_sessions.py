"""Sessions of pages: a key signs in once, and a cookie that no script can read stands for it.

Over HTTPS the cookie's name begins with `__Host-`, so that no other host and no page over HTTP can set it.
Otherwise it has the port in its name: cookies know no ports, and two services on one machine would sign each
other out.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from litestar.connection import ASGIConnection

from flowengine.access.records import ApiKey, SignIn
from flowengine.api.access.api_keys import digest_of
from flowengine.api.access.current_keys import CurrentKeys
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.api.ports import Access

LASTS_S: Final = 12 * 3600
LOOKED_UP_AGAIN_AFTER_S: Final = 5.0
"""A session that was ended, perhaps at another process, is let in no longer than that."""
_REMEMBERED: Final = 10_000
_MAX_TOKEN_CHARS: Final = 128
_SECURE_NAME: Final = "__Host-flowengine"

Connection = ASGIConnection[Any, Any, Any, Any]


class PageSessions:
    """Of one process; used on its event loop only. `clock` counts seconds."""

    def __init__(
        self,
        access: Access,
        keys: CurrentKeys,
        calls: BlockingCalls,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._keys = keys
        self._calls = calls
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, SignIn]] = OrderedDict()

    async def start(self, key: ApiKey) -> tuple[str, int]:
        """A new session of this key: its token, and the seconds that it lasts."""
        token, now = secrets.token_urlsafe(32), await self._keys.now()
        lasts = LASTS_S if key.expires_at is None else min(LASTS_S, (key.expires_at - now) // 1000)
        sign_in = SignIn(key.digest, now + lasts * 1000)
        await self._calls.store(lambda: self._access.start_session(digest_of(token), sign_in))
        return token, lasts

    async def key_of(self, connection: Connection) -> ApiKey | None:
        """The key of the session that a request's cookie names, if both are valid."""
        token = token_of(connection)
        if token is None:
            return None
        found = await self._find(digest_of(token))
        if found is None or found.expires_at <= await self._keys.now():
            return None
        return await self._keys.find(found.key_digest)

    async def end(self, token: str) -> bool:
        """End a session; False if there was none."""
        digest = digest_of(token)
        self._known.pop(digest, None)
        if await self._calls.store(lambda: self._access.session(digest)) is None:
            return False
        await self._calls.store(lambda: self._access.end_session(digest))
        return True

    async def _find(self, digest: str) -> SignIn | None:
        known = self._known.get(digest)
        now = self._clock()
        if known is not None and now - known[0] < LOOKED_UP_AGAIN_AFTER_S:
            return known[1]
        found = await self._calls.store(lambda: self._access.session(digest))
        self._known.pop(digest, None)
        if found is not None:
            self._known[digest] = (now, found)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found


def token_of(connection: Connection) -> str | None:
    """What the session's cookie of a request holds."""
    for name in (_SECURE_NAME, _name_by_port(connection)):
        token = connection.cookies.get(name)
        if token and len(token) <= _MAX_TOKEN_CHARS:
            return token
    return None


def session_cookie(connection: Connection, token: str, lasts_s: int) -> str:
    """The header that gives a browser its session; with no token and no time, that takes it away."""
    secure = _is_secure(connection)
    name = _SECURE_NAME if secure else _name_by_port(connection)
    attributes = f"Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict"
    return f"{name}={token}; {attributes}{'; Secure' if secure else ''}"


def _is_secure(connection: Connection) -> bool:
    """Whether the page came over HTTPS. Behind a proxy that ends TLS only the browser knows."""
    origin: str = connection.headers.get("origin", "")
    return connection.scope["scheme"] == "https" or origin.lower().startswith("https://")


def _name_by_port(connection: Connection) -> str:
    port = str(connection.headers.get("host", "")).rpartition(":")[2]
    return f"flowengine-{port if port.isascii() and port.isdigit() else '80'}"
