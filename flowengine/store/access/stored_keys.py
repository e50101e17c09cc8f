"""The keys of the API that are kept in Redis: one hash, read as a whole.

`made` stays in the hash when the last key goes: an API whose last key was revoked must not open to everybody.
No command here is part of a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import redis
import structlog

from flowengine.access.records import ApiKey, FoundKeys
from flowengine.access.roles import Role
from flowengine.errors import StoreUnavailableError
from flowengine.store.connection.clock import milliseconds
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Sessions
from flowengine.store.keys import API_KEYS

log = structlog.stdlib.get_logger()

_MADE: Final = "made"
_KEY: Final = "key:"
_USED: Final = "used:"


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key as JSON, in a field named after its id."""

    digest: str
    role: Role
    created_at: int
    expires_at: int | None = None
    definitions: tuple[str, ...] = ()


_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(_Stored)


class StoredKeys:
    """The keys in Redis. Every method may raise StoreUnavailableError."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._unreadable: set[bytes] = set()

    def find(self, used: Mapping[str, int] | None = None) -> FoundKeys:
        """All of them. `used`: when keys were used, to be noted by id, in milliseconds."""
        noted: list[Command] = [("HSET", API_KEYS, f"{_USED}{key}", at) for key, at in (used or {}).items()]
        try:
            time, fields, *_ = self._sessions.retrying_read([("TIME",), ("HGETALL", API_KEYS), *noted])
        except redis.ResponseError as error:
            raise StoreUnavailableError(
                f"Redis cannot tell who may use the API ({API_KEYS}): {error}"
            ) from error
        by_name = _pairs(fields)
        self._forget_uses_of_the_gone(by_name)
        found = (self._read(name, value, by_name) for name, value in by_name.items())
        return FoundKeys(
            tuple(sorted((key for key in found if key is not None), key=lambda key: key.id)),
            any(not name.startswith(_USED.encode()) for name in by_name),
            milliseconds(time),
        )

    def now(self) -> int:
        """Redis's time in milliseconds."""
        return milliseconds(self._sessions.retrying_read([("TIME",)])[0])

    def add(self, key: ApiKey) -> bool:
        """Keep this key from now on; False if there is one of its id."""
        created_at = key.created_at or self.now()
        kept = _encode(_Stored(key.digest, key.role, created_at, key.expires_at, key.definitions))
        name = f"{_KEY}{key.id}"
        *_, stored = self._sessions.retrying_read(
            [
                ("HSETNX", API_KEYS, _MADE, created_at),
                ("HSETNX", API_KEYS, name, kept),
                ("HGET", API_KEYS, name),
            ]
        )
        return bool(stored == kept)

    def revoke(self, key_id: str) -> bool:
        """Keep it no more; False if there is none of this id."""
        name = f"{_KEY}{key_id}"
        if self._sessions.retrying_read([("HGET", API_KEYS, name)])[0] is None:
            return False
        self._sessions.retrying_read([("HDEL", API_KEYS, name, f"{_USED}{key_id}")])
        return True

    def is_valid(self, key_id: str, made_at: int) -> bool:
        """Whether the key of this id that was made then, in milliseconds, still opens the API."""
        name = f"{_KEY}{key_id}"
        time, value = self._sessions.retrying_read([("TIME",), ("HGET", API_KEYS, name)])
        key = None if value is None else self._read(name.encode(), value, {})
        return key is not None and key.created_at == made_at and not key.has_expired(milliseconds(time))

    def _read(self, name: bytes, value: bytes, fields: Mapping[bytes, bytes]) -> ApiKey | None:
        if not name.startswith(_KEY.encode()):
            return None
        key_id = name.decode(errors="replace").removeprefix(_KEY)
        try:
            stored = _decoder.decode(value)
        except msgspec.DecodeError as error:
            if name not in self._unreadable:
                self._unreadable.add(name)
                log.warning("access.key_unreadable", key=key_id, error=str(error))
            return None
        used = fields.get(f"{_USED}{key_id}".encode(), b"")
        return ApiKey(
            id=key_id,
            digest=stored.digest,
            role=stored.role,
            kept_in="redis",
            created_at=stored.created_at,
            expires_at=stored.expires_at,
            used_at=int(used) if used.isdigit() else None,
            definitions=stored.definitions,
        )

    def _forget_uses_of_the_gone(self, fields: Iterable[bytes]) -> None:
        """A process may have noted a use of a key that was just revoked."""
        names = set(fields)
        used = [name for name in names if name.startswith(_USED.encode())]
        gone = [name for name in used if name.replace(_USED.encode(), _KEY.encode(), 1) not in names]
        if gone:
            self._sessions.retrying_read([("HDEL", API_KEYS, *gone)])


def _pairs(reply: Any) -> dict[bytes, bytes]:
    """HGETALL's reply, which is a list where it comes as Redis sends it."""
    return dict(reply) if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
