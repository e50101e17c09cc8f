"""An in-memory store of keys for tests of the API: the contract of `Access`, without Redis."""

from __future__ import annotations

from collections.abc import Mapping

from flowengine.access.records import ApiKey, AuditItem, FoundKeys, SignIn


class FakeAccess:
    """Set `broken` to make every call raise it. `reads` counts how often the keys were read."""

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.stored: dict[str, ApiKey] = {}
        self.any_made = False
        self.now = 1_000_000
        self.reads = 0
        self.used: dict[str, int] = {}
        self.sessions: dict[str, SignIn] = {}
        self.looked_up = 0

    def add(self, key: ApiKey) -> None:
        """Keep it."""
        self.any_made = True
        self.stored[key.id] = key

    def keys(self, used: Mapping[str, int]) -> FoundKeys:
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        self.used.update(used)
        return FoundKeys(tuple(self.stored.values()), self.any_made, self.now)

    def audit(self, limit: int, before: str | None) -> list[AuditItem]:
        return []

    def start_session(self, token: str, sign_in: SignIn) -> None:
        self.sessions[token] = sign_in

    def session(self, token: str) -> SignIn | None:
        self.looked_up += 1
        return self.sessions.get(token)

    def end_session(self, token: str) -> None:
        self.sessions.pop(token, None)

    def revoke(self, key_id: str) -> bool:
        if self.broken is not None:
            raise self.broken
        return self.stored.pop(key_id, None) is not None
