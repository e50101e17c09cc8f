"""What an engine message carries, as the struct that its actor works with."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from flowengine.broker.errors import UndecodablePayloadError
from flowengine.jsonvalue import UNREADABLE

T = TypeVar("T")


def decoded(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """The payload. Raises UndecodablePayloadError: alone, its message goes to the dead letters."""
    try:
        return decoder.decode(payload)
    except UNREADABLE as error:
        raise UndecodablePayloadError(f"a payload that nobody can read: {error}") from error
