"""A workflow document as it was posted: kept with its execution, compressed, and given back in its form.

A document holds no secrets, only templates that name them.
"""

from __future__ import annotations

import contextlib
import zlib
from hashlib import sha256
from typing import Final

import msgspec

JSON: Final = "application/json"
YAML: Final = "application/yaml"
_LEVEL: Final = 6
_SMALL_WINDOW: Final = 12
"""A text of up to 4 KiB needs no larger window. To set up zlib's own, of 32 KiB, with its tables takes far
longer than to compress such a text."""
_SMALL_MEMORY: Final = 5
_PARTED_BY: Final = b"\n"


class PostedDocument(msgspec.Struct, frozen=True):
    """The text, in UTF-8, and what it is written in."""

    text: bytes
    media_type: str

    @property
    def tag(self) -> str:
        """A text that differs wherever the document or its form does."""
        return sha256(self.media_type.encode() + _PARTED_BY + self.text).hexdigest()[:32]


def pack(document: PostedDocument) -> bytes:
    """The document as it is stored."""
    small = len(document.text) <= 1 << _SMALL_WINDOW
    window, memory = (_SMALL_WINDOW, _SMALL_MEMORY) if small else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, window, memory)
    return document.media_type.encode() + _PARTED_BY + compressor.compress(document.text) + compressor.flush()


def unpack(stored: bytes) -> PostedDocument:
    """What `pack` has made."""
    media_type, _, compressed = stored.partition(_PARTED_BY)
    return PostedDocument(zlib.decompress(compressed), media_type.decode())


class _Envelope(msgspec.Struct):
    workflow: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def from_envelope(text: bytes, workflow: object, *, is_json: bool) -> PostedDocument:
    """The document that stands in an envelope: of one in JSON the text itself, of one in YAML its value as
    JSON, because a part of a YAML text is no document."""
    if is_json:
        with contextlib.suppress(msgspec.MsgspecError):
            return PostedDocument(bytes(_decode_envelope(text).workflow), JSON)
    return PostedDocument(msgspec.json.format(msgspec.json.encode(workflow)), JSON)
