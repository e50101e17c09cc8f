"""What makes a document unreadable, before anything is known of what it says."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Final

from flowengine.errors import FlowEngineError

MAX_DEPTH: Final = 64
MAX_CONTAINERS: Final = 100_000
_CHUNK: Final = 65_536
_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))
_MARKS_OF_OTHER_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class MalformedError(FlowEngineError):
    """The bytes are no document. `line` and `column` count from 1."""

    code = "malformed_document"

    def __init__(
        self, reason: str, message: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.line = line
        self.column = column


def malformed_at(reason: str, message: str, source: bytes, offset: int) -> MalformedError:
    """The error, at a byte of the source."""
    line, column = places_of(source, (offset,))[offset]
    return MalformedError(reason, message, line=line, column=column)


def places_of(source: bytes, offsets: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Line and column, counted from 1, of bytes of UTF-8 text; columns count characters.

    Goes through the source once, however many there are.
    """
    places: dict[int, tuple[int, int]] = {}
    line, column, done = 1, 1, 0
    for offset in sorted(set(offsets)):
        start = source.rfind(b"\n", done, offset) + 1
        if start:
            line += source.count(b"\n", done, offset)
            column, done = 1, start
        column += characters(source, done, offset)
        done = offset
        places[offset] = line, column
    return places


def characters(source: bytes, start: int, end: int) -> int:
    """How many characters UTF-8 text has between two bytes. In pieces, and without making text of them."""
    return sum(
        len(source[place : min(place + _CHUNK, end)].translate(None, _CONTINUATIONS))
        for place in range(start, end, _CHUNK)
    )


def plain_utf8(body: bytes) -> bytes:
    """The body less its byte order mark.

    Raises MalformedError for another encoding, a NUL byte, or bytes that are no UTF-8.
    """
    for mark, name in _MARKS_OF_OTHER_ENCODINGS:
        if body.startswith(mark):
            raise MalformedError("invalid_encoding", f"the document is {name}: send it as UTF-8")
    body = body.removeprefix(codecs.BOM_UTF8)
    nul = body.find(b"\0")
    if nul >= 0:
        raise malformed_at("nul_byte", "the document holds a NUL byte", body, nul)
    _refuse_bad_utf8(body)
    return body


def _refuse_bad_utf8(body: bytes) -> None:
    """In pieces: a whole document as text may take four times its bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body) + 1, _CHUNK):
        kept = len(decoder.getstate()[0])
        try:
            decoder.decode(body[start : start + _CHUNK], start + _CHUNK > len(body))
        except UnicodeDecodeError as error:
            offset = start - kept + error.start
            raise malformed_at(
                "invalid_encoding", f"the document is not UTF-8: {error.reason}", body, offset
            ) from error
