"""Bodies are decoded in bounded pieces, whatever they claim to be."""

from __future__ import annotations

import gzip
import itertools
import zlib

import pytest

from flowengine.handlers.http.body_decoder import (
    MAX_PIECES,
    BodyDecoder,
    BodyEncodingError,
    BodyTooLargeError,
)
from tests.support.http_server import gzip_bomb


def decoded(encoding: str, *chunks: bytes, limit: int = 1_000_000) -> bytes:
    """The chunks decoded, to the end."""
    decoder = BodyDecoder(encoding, limit)
    body = b"".join(piece for chunk in chunks for piece in decoder.pieces(chunk))
    decoder.finish()
    return body


def test_bodies_are_decoded_in_any_chunking() -> None:
    """gzip (several members and padding too), deflate in both forms, and plain."""
    data = b"hello " * 1000
    packed = gzip.compress(data)
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert decoded("gzip", *(packed[at : at + 7] for at in range(0, len(packed), 7))) == data
    assert decoded("gzip", packed + packed, b"\0\0") == data + data
    assert decoded("Deflate", zlib.compress(data)) == data
    assert decoded("deflate", bare.compress(data) + bare.flush()) == data
    assert decoded("identity", b"a", b"b") == b"ab"
    assert decoded("gzip") == b""


def test_a_gzip_bomb_ends_at_the_limit() -> None:
    """At most one piece beyond the limit is decompressed."""
    bomb = gzip_bomb(50).body
    with pytest.raises(BodyTooLargeError):
        decoded("gzip", bomb)


@pytest.mark.parametrize(
    ("encoding", "chunk"),
    [("", b"x"), ("gzip", gzip.compress(b"")), ("gzip", gzip.compress(b"") * 2)],
    ids=["chunks", "empty members", "several to a chunk"],
)
def test_a_body_in_very_many_pieces_is_refused(encoding: str, chunk: bytes) -> None:
    """Each piece costs time and memory, even if it is nearly empty."""
    with pytest.raises(BodyTooLargeError, match="more than 100000 pieces"):
        decoded(encoding, *itertools.repeat(chunk, MAX_PIECES + 1), limit=1_000_000_000)


def test_what_is_sent_is_bounded_even_where_nothing_comes_out() -> None:
    """Padding after the end of compressed data is ignored, but not for ever."""
    with pytest.raises(BodyTooLargeError, match="before it is decoded"):
        decoded("gzip", gzip.compress(b"x"), *itertools.repeat(bytes(1000), 1000))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"not gzip"), ("deflate", b"\xff\xff"), ("gzip", gzip.compress(b"x" * 99)[:-9])],
)
def test_a_body_that_is_not_what_it_claims_is_an_error(encoding: str, body: bytes) -> None:
    """Damaged and cut compressed data fails, it is not passed on in part."""
    with pytest.raises(BodyEncodingError):
        decoded(encoding, body)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_unknown_and_stacked_encodings_are_refused(encoding: str) -> None:
    """Stacked encodings exist to multiply a bomb."""
    with pytest.raises(BodyEncodingError, match="not supported"):
        BodyDecoder(encoding)


def test_an_encoding_that_is_quoted_in_part_is_marked_as_cut() -> None:
    """It may be anything, a secret too."""
    with pytest.raises(BodyEncodingError, match=r"'x*'\.\.\. is not"):
        BodyDecoder("x" * 90)
