"""Who has done what: a stream, capped. An entry is written with the change that it tells of.

If the entry cannot be written, because something else has its key, the change is made nevertheless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import redis
import structlog

from flowengine.access.acting import Note, unwritten_note
from flowengine.access.records import AuditEntry, AuditItem
from flowengine.errors import StoreUnavailableError
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Commands, Sessions
from flowengine.store.keys import Keys

log = structlog.stdlib.get_logger()

KEPT: Final = 10_000
"""So many entries are kept, and a few more."""
DONE: Final = "done"

_FIELD: Final = "a"
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(AuditEntry)


def add_note(commands: Commands, names: Keys, target: str | None = None) -> Note | None:
    """Let the transaction of these commands tell who acts, and of what; returns what it tells.

    The caller says `was_written` once the transaction is.
    """
    note = unwritten_note()
    if note is not None:
        commands.may_fail = (*commands.may_fail, len(commands))
        commands.append(_entry_of(note, names, target))
    return note


def was_written(note: Note | None) -> None:
    """What was told need not be told again by what follows."""
    if note is not None:
        note.written = True


def note_now(sessions: Sessions, names: Keys, target: str | None = None) -> None:
    """Tell of a change that was made without a transaction. Raises nothing."""
    note = unwritten_note()
    if note is None:
        return
    try:
        sessions.here().call([_entry_of(note, names, target)])
        note.written = True
    except (StoreUnavailableError, redis.RedisError) as error:
        log.error("audit.not_written", action=note.action, target=target, error=str(error))


def read_audit(sessions: Sessions, names: Keys, limit: int, before: str | None) -> list[AuditItem]:
    """The newest entries, or the newest before this place. Raises StoreUnavailableError."""
    newest = "+" if before is None else f"({before}"
    try:
        (found,) = sessions.retrying_read([("XREVRANGE", names.audit, newest, "-", "COUNT", limit)])
    except redis.ResponseError as error:
        raise StoreUnavailableError(f"Redis cannot tell the audit ({names.audit}): {error}") from error
    return [_item(place.decode(), fields) for place, fields in found]


def _entry_of(note: Note, names: Keys, target: str | None) -> Command:
    actor = note.actor
    told = AuditEntry(
        note.action,
        target or note.target,
        DONE,
        actor.key,
        actor.address,
        actor.correlation_id,
        note.node,
        note.reason,
    )
    return ("XADD", names.audit, "MAXLEN", "~", KEPT, "*", _FIELD, _encode(told))


def _item(place: str, fields: Sequence[bytes]) -> AuditItem:
    at = int(place.partition("-")[0])
    try:
        return AuditItem(place, at, _decoder.decode(fields[1]))
    except (msgspec.DecodeError, IndexError):
        return AuditItem(place, at, AuditEntry("unreadable", None, "", None, None, None))
