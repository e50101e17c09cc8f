"""Response bodies decoded in bounded pieces: at most ten megabytes go in, and at most ten come out.

httpx decodes a whole network read at once, so that 64 KB of gzip may become 64 MB before anybody can count
them, and stacked encodings multiply that. Here each decompressor is asked for a limited output each time. The
input is counted too, in bytes and in pieces: a million chunks of two bytes, empty gzip members and endless
padding cost time and memory but make no output. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from flowengine.handlers.secrets.shown_text import quoted_part

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
MAX_PIECES: Final = 100_000
ACCEPTED_ENCODINGS: Final = "gzip, deflate, br, zstd"

_PIECE: Final = 256 * 1024
_MEMBERS: Final = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
# RFC 9659: a decoder of HTTP bodies needs no larger window, and a larger one is memory for the asking.
_ZSTD_WINDOW_LOG: Final = 23
_CODINGS: Final = {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "br": "br",
    "zstd": "zstd",
}
# What services write into Content-Encoding although the body is not coded. `aws-chunked` is Amazon S3's way
# of sending an upload; it stays in the header of what was stored.
_NO_CODINGS: Final = frozenset(
    {
        "",
        "identity",
        "none",
        "null",
        "no",
        "plain",
        "text",
        "binary",
        "7bit",
        "8bit",
        "base64",
        "quoted-printable",
        "raw",
        "json",
        "xml",
        "html",
        "csv",
        "aws-chunked",
        "chunked",
    }
)
_MAX_HEADER_CHARS: Final = 200


class BodyTooLargeError(ValueError):
    """The body is larger than the limit, or comes in too many pieces."""


class BodyEncodingError(ValueError):
    """The body is not in the encoding that it names, or the encoding is not supported."""


class _Decompressor(Protocol):
    """One member, frame or stream. Once it has `ended`, `unused` is what follows it."""

    ended: bool
    unused: bytes

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """All output of `data`, in bounded pieces, empty ones too. Raises BodyEncodingError."""


class BodyDecoder:
    """Decodes one body. Feed every chunk through `pieces`, then call `finish`.

    An encoding that nobody can decode is an error of the first byte, so that an answer without a body has
    none.
    """

    def __init__(self, encoding: str, limit: int = MAX_BODY_BYTES, most_pieces: int = MAX_PIECES) -> None:
        self._given = encoding
        self.coding = coding_of(encoding)
        self._limit = limit
        self._most_pieces = most_pieces
        self._taken = 0
        self._produced = 0
        self._steps = 0
        self._decompressor: _Decompressor | None = None
        self._complete = True
        self._ended = False
        self._held = b""
        """What may be the beginning of a next member."""

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The decoded bytes of `chunk`, in pieces. Raises BodyTooLargeError, BodyEncodingError."""
        self._taken += len(chunk)
        if self._taken > self._limit:
            raise BodyTooLargeError(f"the answer is larger than {self._limit} bytes, before it is decoded")
        decoded = self._plain(chunk) if self.coding == "" else self._decompressed(chunk)
        for piece in decoded:
            self._produced += len(piece)
            if self._produced > self._limit:
                raise BodyTooLargeError(f"the answer is larger than {self._limit} bytes")
            yield piece

    def finish(self) -> None:
        """Raises BodyEncodingError when compressed data ends too early."""
        if not self._complete:
            raise BodyEncodingError(f"the answer's {self.coding} data is cut short")

    def _step(self) -> None:
        self._steps += 1
        if self._steps > self._most_pieces:
            raise BodyTooLargeError(f"the answer comes in more than {self._most_pieces} pieces")

    def _plain(self, chunk: bytes) -> Iterator[bytes]:
        self._step()
        yield chunk

    def _decompressed(self, chunk: bytes) -> Iterator[bytes]:
        data, self._held = self._held + chunk, b""
        while data:
            self._step()
            if self._decompressor is None:
                if self._ended and not self._goes_on(data):
                    if _MEMBERS.get(self.coding or "", b"").startswith(data):
                        self._held = data
                    return  # every client ignores padding after the end
                self._decompressor = self._start(data)
            for piece in self._decompressor.pieces(data):
                self._step()
                if piece:
                    yield piece
            self._complete = self._decompressor.ended
            data = b""
            if self._decompressor.ended:
                data = self._decompressor.unused
                self._decompressor = None
                self._ended = True

    def _goes_on(self, data: bytes) -> bool:
        """Whether another member or frame follows the end of one."""
        return self.coding in _MEMBERS and data.startswith(_MEMBERS[self.coding])

    def _start(self, data: bytes) -> _Decompressor:
        match self.coding:
            case "gzip" | "deflate":
                return _Zlib(self.coding, data)
            case "br":
                return _Brotli()
            case "zstd":
                return _Zstd()
        shown = quoted_part(self._given, 60)
        raise BodyEncodingError(f"the answer's Content-Encoding {shown} is not supported")


def coding_of(encoding: str) -> str | None:
    """The one coding that a Content-Encoding header names: `gzip`, `deflate`, `br`, `zstd`, or "" for none.

    Charsets, media types and other words that name no coding are passed over (`UTF-8`, `application/json`,
    `none`, `aws-chunked`), and so is what follows a `;`. None for a
    coding that is not known, and for several, which exist to multiply a bomb.
    """
    if len(encoding) > _MAX_HEADER_CHARS:
        return None
    words = [item.partition(";")[0].strip(" \t\"'") for item in encoding.lower().split(",")]
    named = [word for word in words if not _is_no_coding(word)]
    if not named:
        return ""
    return _CODINGS.get(named[0]) if len(named) == 1 else None


def _is_no_coding(word: str) -> bool:
    if word in _NO_CODINGS or word in _CODINGS:
        return word in _NO_CODINGS
    if "/" in word or word.startswith("charset="):
        return True
    import webencodings

    return webencodings.lookup(word) is not None


class _Zlib:
    def __init__(self, coding: str, data: bytes) -> None:
        # By "deflate" RFC 9110 means the zlib format; some servers send bare deflate, which browsers accept.
        wrapped = data[0] & 0x0F == 8
        bits = zlib.MAX_WBITS | 16 if coding == "gzip" else zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
        self._coding = coding
        self._decompressor = zlib.decompressobj(bits)
        self.ended = False
        self.unused = b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data and not self.ended:
            try:
                yield self._decompressor.decompress(data, _PIECE)
            except zlib.error as error:
                raise BodyEncodingError(f"the answer is not valid {self._coding}: {error}") from error
            data = self._decompressor.unconsumed_tail
            self.ended = self._decompressor.eof
        self.unused = self._decompressor.unused_data


class _Brotli:
    """What follows the end in the same chunk makes the data invalid: Brotli says nothing of what it left."""

    def __init__(self) -> None:
        import brotli

        self._error: type[Exception] = brotli.error
        self._decompressor = brotli.Decompressor()
        self.ended = False
        self.unused = b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            piece: bytes = self._decompressor.process(data, output_buffer_limit=_PIECE)
            while piece or not self._decompressor.can_accept_more_data():
                yield piece
                piece = self._decompressor.process(b"", output_buffer_limit=_PIECE)
        except self._error as error:
            raise BodyEncodingError(f"the answer is not valid br: {error}") from error
        self.ended = self._decompressor.is_finished()


class _Zstd:
    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self._error: type[Exception] = zstd.ZstdError
        self._decompressor = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        )
        self.ended = False
        self.unused = b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            yield self._decompressor.decompress(data, max_length=_PIECE)
            while not self._decompressor.needs_input and not self._decompressor.eof:
                yield self._decompressor.decompress(b"", max_length=_PIECE)
        except self._error as error:
            raise BodyEncodingError(f"the answer is not valid zstd: {error}") from error
        self.ended = self._decompressor.eof
        self.unused = self._decompressor.unused_data
