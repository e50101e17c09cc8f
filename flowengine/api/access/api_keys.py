"""API keys: how they are made and recognised. Only their SHA-256 is ever kept.

A key has 256 random bits. Nobody can guess it, so a plain digest is enough and need not be slow.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from flowengine.errors import SettingsError

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX = "fe_"


def new_key(key_id: str) -> tuple[str, str]:
    """A new key and the entry for FLOWENGINE_API_KEYS that makes it valid: (secret text, "id.sha256").

    Raises SettingsError when the id is not 1 to 64 letters, digits, _ and -.
    """
    if not _ID.fullmatch(key_id):
        raise SettingsError(f"{key_id!r} is no key id: use 1 to 64 letters, digits, _ and -")
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, f"{key_id}.{_digest(secret)}"


class KeyRing:
    """The keys that open the API."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._digests = tuple((key_id, digest) for key_id, _, digest in (e.partition(".") for e in entries))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, secret: str) -> str | None:
        """The id of the key, or None. Takes the same time whichever entry matches, or none."""
        presented = _digest(secret)
        found = None
        for key_id, digest in self._digests:
            if hmac.compare_digest(presented, digest):
                found = key_id
        return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
