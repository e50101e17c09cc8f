"""What an engine message carries, as the struct that its actor works with."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from flowengine.broker.errors import UndecodablePayloadError

T = TypeVar("T")

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises over bytes that are no message: bad UTF-8 and deep nesting are no DecodeError."""


def decoded(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """The payload. Raises UndecodablePayloadError: alone, its message goes to the dead letters."""
    try:
        return decoder.decode(payload)
    except UNREADABLE as error:
        raise UndecodablePayloadError(f"a payload that nobody can read: {error}") from error
