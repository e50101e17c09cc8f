"""What the API answers about who may use it. Pure data."""

from __future__ import annotations

import msgspec

from flowengine.access.records import ApiKey, AuditItem, KeptIn
from flowengine.access.roles import Role
from flowengine.execution.views.executions import Moment, moment, moment_or_none


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without anything of the key itself.

    Of one of the settings no time is known. `last_used_at`: to the minute, or null if it was never used.
    `definitions`: patterns of those that it is for; empty: for all.
    """

    id: str
    role: Role
    kept_in: KeptIn
    created_at: Moment | None = None
    expires_at: Moment | None = None
    expired: bool = False
    last_used_at: Moment | None = None
    definitions: tuple[str, ...] = ()


class KeysView(msgspec.Struct, frozen=True, kw_only=True):
    """All keys."""

    items: tuple[KeyView, ...]
    next_cursor: str | None = None


class RevokedKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """The key that was revoked."""

    id: str


class MeView(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `key` is null where the API has no keys: then everybody is an admin. `definitions`: patterns
    of those that the key is for; empty: for all."""

    key: str | None
    role: Role
    definitions: tuple[str, ...] = ()


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was started, and the key that it stands for."""

    key: str
    role: Role
    expires_at: Moment


class EndedSessionView(msgspec.Struct, frozen=True, kw_only=True):
    """`ended`: whether there was a session to end."""

    ended: bool


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of the API process that answers. `value` is null if it has none, `***` if it is a secret."""

    name: str
    value: str | None
    default: str | None
    summary: str
    allowed: str


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """All settings."""

    items: tuple[SettingView, ...]
    next_cursor: str | None = None


class AuditEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has done.

    `action`: the operation, by its id in this document. `target`: the execution, the key or the dead letter
    that it was about. `key` is null where the API had no keys. `address`: where the request came from. It is
    null for the command line, which has no correlation id either. `node`: that of the execution which it was
    about. `reason`: why, if that was said.
    """

    at: Moment
    action: str
    target: str | None
    outcome: str
    key: str | None
    address: str | None
    correlation_id: str | msgspec.UnsetType = msgspec.UNSET
    node: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit, the newest first."""

    items: tuple[AuditEntryView, ...]
    next_cursor: str | None


def audit_entry_view(item: AuditItem) -> AuditEntryView:
    """An entry as it is shown."""
    entry = item.entry
    return AuditEntryView(
        at=moment(item.at),
        action=entry.action,
        target=entry.target,
        outcome=entry.outcome,
        key=entry.key,
        address=entry.address,
        correlation_id=entry.correlation_id or msgspec.UNSET,
        node=entry.node or msgspec.UNSET,
        reason=entry.reason or msgspec.UNSET,
    )


def key_view(key: ApiKey, now: int) -> KeyView:
    """A key as it is shown at this time, in milliseconds."""
    return KeyView(
        id=key.id,
        role=key.role,
        kept_in=key.kept_in,
        created_at=moment_or_none(key.created_at),
        expires_at=moment_or_none(key.expires_at),
        expired=key.has_expired(now),
        last_used_at=moment_or_none(key.used_at),
        definitions=key.definitions,
    )
