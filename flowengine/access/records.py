"""What is kept of a key. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine.access.roles import Role

KeptIn: TypeAlias = Literal["settings", "redis"]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that opens the API, as far as it is kept: never the key itself. Times in milliseconds.

    Of a key of the settings no time is known. `used_at`: about when it was last used. `definitions`: patterns
    of those that it is for; none: for all.
    """

    id: str
    digest: str
    role: Role
    kept_in: KeptIn
    created_at: int | None = None
    expires_at: int | None = None
    used_at: int | None = None
    definitions: tuple[str, ...] = ()

    def has_expired(self, now: int) -> bool:
        """Whether it opens nothing any more."""
        return self.expires_at is not None and self.expires_at <= now


class FoundKeys(msgspec.Struct, frozen=True):
    """The keys that Redis holds, expired ones too, and its time in milliseconds.

    `any_made`: whether it holds any, or has held one.
    """

    keys: tuple[ApiKey, ...]
    any_made: bool
    now: int


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something. `key`: the id of the key, None where the API has none. `made_at`: when that was
    made, in milliseconds, if Redis holds it: a key of the settings is no longer valid only where the API
    starts without it. `definitions`: the patterns of those that the key is for. `address`: where the request
    comes from, None for the command line."""

    key: str | None = None
    made_at: int | None = None
    definitions: tuple[str, ...] = ()
    address: str | None = None
    correlation_id: str | None = None


class AuditEntry(msgspec.Struct, frozen=True, array_like=True):
    """What somebody has done, as it is stored. What is added later stands at the end.

    `action`: the operation. `target`: the execution, the key. `outcome`: what came of it. `node`: that of the
    execution which it is about. `reason`: why, as the caller said.
    """

    action: str
    target: str | None
    outcome: str
    key: str | None
    address: str | None
    correlation_id: str | None
    node: str | None = None
    reason: str | None = None


class AuditItem(msgspec.Struct, frozen=True):
    """An entry with its place in the audit and its time in milliseconds."""

    place: str
    at: int
    entry: AuditEntry


class SignIn(msgspec.Struct, frozen=True):
    """A session of a page: the digest of the key that it was started with, and its end in milliseconds.

    It goes by the digest and not by the id: a new key of the same name does not revive it.
    """

    key_digest: str
    expires_at: int
