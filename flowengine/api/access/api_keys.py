"""API keys: how they are made and recognised. Only their SHA-256 is ever kept.

A key has 256 random bits. Nobody can guess it, so a plain digest is enough and need not be slow.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

import msgspec

from flowengine.access.records import ApiKey
from flowengine.access.roles import Role
from flowengine.errors import SettingsError

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX: Final = "fe_"
ROLE_OF_OLD_ENTRIES: Final[Role] = "admin"
"""Of an entry that names no role."""


def new_key(key_id: str, role: Role = ROLE_OF_OLD_ENTRIES) -> tuple[str, str]:
    """A new key and the entry for FLOWENGINE_API_KEYS that makes it valid: (secret text, "id.sha256.role").

    An entry of an admin names no role, so that versions before 0.2 read it. Raises SettingsError when the id
    is not 1 to 64 letters, digits, _ and -.
    """
    if not _ID.fullmatch(key_id):
        raise SettingsError(f"{key_id!r} is no key id: use 1 to 64 letters, digits, _ and -")
    secret = _PREFIX + secrets.token_urlsafe(32)
    entry = f"{key_id}.{digest_of(secret)}"
    return secret, entry if role == ROLE_OF_OLD_ENTRIES else f"{entry}.{role}"


def digest_of(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def key_of_entry(entry: str) -> ApiKey:
    """The key of an entry of FLOWENGINE_API_KEYS, as the settings let it through."""
    key_id, digest, *named = entry.split(".")
    role = msgspec.convert(named[0], Role) if named else ROLE_OF_OLD_ENTRIES
    return ApiKey(id=key_id, digest=digest, role=role, kept_in="settings")
