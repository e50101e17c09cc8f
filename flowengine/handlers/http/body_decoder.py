"""Response bodies decoded in bounded pieces: at most ten megabytes go in, and at most ten come out.

httpx decodes a whole network read at once, so that 64 KB of gzip may become 64 MB before anybody can count
them, and stacked encodings multiply that. Here zlib is asked for a limited output each time. The input is
counted too, in bytes and in pieces: a million chunks of two bytes, empty gzip members and endless padding
cost time and memory but make no output. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
MAX_PIECES: Final = 100_000
ACCEPTED_ENCODINGS: Final = "gzip, deflate"

_PIECE: Final = 256 * 1024
_GZIP_MEMBER: Final = b"\x1f\x8b"


class BodyTooLargeError(ValueError):
    """The body is larger than the limit, or comes in too many pieces."""


class BodyEncodingError(ValueError):
    """The body is not in the encoding that it names, or the encoding is not supported."""


class _Decompressor(Protocol):
    """What zlib.decompressobj returns; its type has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class BodyDecoder:
    """Decodes one body. Feed every chunk through `pieces`, then call `finish`."""

    def __init__(self, encoding: str, limit: int = MAX_BODY_BYTES, most_pieces: int = MAX_PIECES) -> None:
        """Raises BodyEncodingError for an encoding other than gzip, deflate and identity."""
        self._encoding = encoding.strip().lower()
        if self._encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            shown = f"'{encoding[:60]}'" + ("..." if len(encoding) > 60 else "")
            raise BodyEncodingError(f"the answer's Content-Encoding {shown} is not supported")
        self._limit = limit
        self._most_pieces = most_pieces
        self._taken = 0
        self._produced = 0
        self._steps = 0
        self._decompressor: _Decompressor | None = None
        self._complete = True
        self._ended = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The decoded bytes of `chunk`, in pieces. Raises BodyTooLargeError, BodyEncodingError."""
        self._taken += len(chunk)
        if self._taken > self._limit:
            raise BodyTooLargeError(f"the answer is larger than {self._limit} bytes, before it is decoded")
        decoded = self._plain(chunk) if self._encoding in ("", "identity") else self._decompressed(chunk)
        for piece in decoded:
            self._produced += len(piece)
            if self._produced > self._limit:
                raise BodyTooLargeError(f"the answer is larger than {self._limit} bytes")
            yield piece

    def finish(self) -> None:
        """Raises BodyEncodingError when compressed data ends too early."""
        if not self._complete:
            raise BodyEncodingError(f"the answer's {self._encoding} data is cut short")

    def _step(self) -> None:
        self._steps += 1
        if self._steps > self._most_pieces:
            raise BodyTooLargeError(f"the answer comes in more than {self._most_pieces} pieces")

    def _plain(self, chunk: bytes) -> Iterator[bytes]:
        self._step()
        yield chunk

    def _decompressed(self, chunk: bytes) -> Iterator[bytes]:
        data = chunk
        while data:
            self._step()
            if self._decompressor is None:
                if self._ended and not data.startswith(_GZIP_MEMBER):
                    return  # every client ignores padding after the end
                self._decompressor = self._start(data)
            decompressor = self._decompressor
            try:
                piece = decompressor.decompress(data, _PIECE)
            except zlib.error as error:
                raise BodyEncodingError(f"the answer is not valid {self._encoding}: {error}") from error
            if piece:
                yield piece
            self._complete = decompressor.eof
            data = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
            if decompressor.eof:
                self._decompressor = None
                self._ended = True

    def _start(self, data: bytes) -> _Decompressor:
        if self._encoding != "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 16)
        # By "deflate" RFC 9110 means the zlib format; some servers send bare deflate, which browsers accept.
        wrapped = data[0] & 0x0F == 8
        return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
