"""Who may use the API, in Redis. Implements `flowengine.api.ports.Access`."""

from __future__ import annotations

from collections.abc import Mapping

from flowengine.access.records import ApiKey, AuditItem, FoundKeys, SignIn
from flowengine.store.access.audit_log import note_now, read_audit
from flowengine.store.access.sign_ins import StoredSignIns
from flowengine.store.access.stored_keys import StoredKeys
from flowengine.store.state import RedisState


class RedisAccess:
    """Over the connections of one process's state."""

    def __init__(self, state: RedisState) -> None:
        self._sessions = state.sessions
        self._names = state.keys
        self._keys = StoredKeys(state.sessions)
        self._sign_ins = StoredSignIns(state.sessions)

    def close(self) -> None:
        """Close the connection of this thread."""
        self._sessions.here().discard()

    def keys(self, used: Mapping[str, int]) -> FoundKeys:
        """The keys. `used`: when keys were used, to be noted by id, in milliseconds."""
        return self._keys.find(used)

    def now(self) -> int:
        """Redis's time in milliseconds."""
        return self._keys.now()

    def add_key(self, key: ApiKey) -> bool:
        """Keep this key from now on; False if there is one of its id."""
        added = self._keys.add(key)
        if added:
            note_now(self._sessions, self._names, key.id)
        return added

    def revoke(self, key_id: str) -> bool:
        """Keep it no more; False if there is none of this id."""
        revoked = self._keys.revoke(key_id)
        if revoked:
            note_now(self._sessions, self._names, key_id)
        return revoked

    def start_session(self, token: str, sign_in: SignIn) -> None:
        """Keep a session until it ends. `token`: the digest of its token."""
        self._sign_ins.start(token, sign_in)
        note_now(self._sessions, self._names)

    def session(self, token: str) -> SignIn | None:
        """The session with this digest of its token, if there is one."""
        return self._sign_ins.find(token)

    def end_session(self, token: str) -> None:
        """Keep a session no more."""
        self._sign_ins.end(token)
        note_now(self._sessions, self._names)

    def audit(self, limit: int, before: str | None) -> list[AuditItem]:
        """The newest entries of the audit, or the newest before this place."""
        return read_audit(self._sessions, self._names, limit, before)
