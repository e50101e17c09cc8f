"""The key that results are signed with: a text, or bytes in base64 behind `whsec_`. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from flowengine.settings.parsing import Parser

PREFIX: Final = "whsec_"
MIN_BYTES: Final = 16
MAX_CHARS: Final = 512


def key_bytes(key: str) -> bytes:
    """The bytes of a key. Raises ValueError for one that is no base64 behind its prefix."""
    if not key.startswith(PREFIX):
        return key.encode()
    try:
        return base64.b64decode(key.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def webhook_key() -> Parser:
    """A key that nobody guesses."""

    def parse(text: str) -> str:
        if not text.isprintable() or " " in text or len(text) > MAX_CHARS:
            raise ValueError("holds a space or a control character, or is too long")
        if len(key_bytes(text)) < MIN_BYTES:
            raise ValueError("too short")
        return text

    return Parser(parse, f"`{PREFIX}` and base64, or text without spaces, of {MIN_BYTES} bytes at least")
