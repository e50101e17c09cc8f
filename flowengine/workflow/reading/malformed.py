"""A document that cannot be read: the error that says so, and what JSON and YAML refuse alike."""

from __future__ import annotations

import codecs
from typing import Final

from flowengine.errors import FlowEngineError
from flowengine.workflow.reading.positions import places_of

MAX_DEPTH: Final = 64
MAX_CONTAINERS: Final = 100_000
HALF_OF_PAIR: Final = (
    "half of a surrogate pair: write both halves, as in \\ud83d\\ude00, or the character itself"
)
_CHUNK: Final = 65_536
_MARKS_OF_OTHER_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class MalformedError(FlowEngineError):
    """The bytes are no document. `reason` is a stable code; `line` and `column` count from 1."""

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
    """The error, with the line and column of a byte of the source."""
    line, column = places_of(source, (offset,))[offset]
    return MalformedError(reason, message, line=line, column=column)


def plain_utf8(body: bytes) -> bytes:
    """The body without its byte order mark.

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
    """Decodes in pieces: a whole document as text may take four times its bytes."""
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
