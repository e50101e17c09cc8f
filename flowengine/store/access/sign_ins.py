"""Sessions of pages: a string each, by the digest of its token, which expires by itself."""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from flowengine.access.records import SignIn
from flowengine.store.connection.sessions import Sessions
from flowengine.store.keys import session_key

log = structlog.stdlib.get_logger()

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(SignIn)


class StoredSignIns:
    """Every method may raise StoreUnavailableError. `token` is the digest of a session's token."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def start(self, token: str, sign_in: SignIn) -> None:
        """Keep a session until it ends."""
        at = -(-sign_in.expires_at // 1000)
        self._sessions.retrying_read([("SET", session_key(token), _encode(sign_in), "EXAT", at)])

    def find(self, token: str) -> SignIn | None:
        """The session of this token, if there is one."""
        (found,) = self._sessions.retrying_read([("GET", session_key(token))])
        if found is None:
            return None
        try:
            return _decoder.decode(found)
        except msgspec.DecodeError as error:
            log.warning("access.session_unreadable", error=str(error))
            return None

    def end(self, token: str) -> None:
        """Keep it no more."""
        self._sessions.retrying_read([("DEL", session_key(token))])
