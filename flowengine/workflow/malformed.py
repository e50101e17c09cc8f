"""What makes a document unreadable, before anything is known of what it says."""

from __future__ import annotations

import codecs
from typing import Final

from flowengine.errors import FlowEngineError

MAX_DEPTH: Final = 64
MAX_CONTAINERS: Final = 100_000
_CHUNK: Final = 65_536
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
    line, column = place_of(source, offset)
    return MalformedError(reason, message, line=line, column=column)


def place_of(source: bytes, offset: int) -> tuple[int, int]:
    """Line and column, counted from 1, of a byte of UTF-8 text; the column counts characters."""
    start = source.rfind(b"\n", 0, offset) + 1
    return source.count(b"\n", 0, offset) + 1, len(source[start:offset].decode("utf-8", "replace")) + 1


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
