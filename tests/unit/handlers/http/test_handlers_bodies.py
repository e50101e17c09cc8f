"""Bodies are decoded in bounded pieces, whatever they claim to be."""

from __future__ import annotations

import gzip
import itertools
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from flowengine.handlers.http.body_decoder import (
    MAX_PIECES,
    BodyDecoder,
    BodyEncodingError,
    BodyTooLargeError,
)
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.handlers.secrets.shown_text import redacting
from tests.hostile.measured import bounded
from tests.support.servers.http_server import gzip_bomb

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = b"hello world " * 100_000


def decoded(encoding: str, *chunks: bytes, limit: int = 2_000_000) -> bytes:
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


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_members_may_be_cut_anywhere(encoding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    """Even within the first bytes of the next one, by which it is known. What else follows is padding."""
    packed = pack(b"first ") + pack(b"second ") + pack(b"third")
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert decoded(encoding, *chunks) == b"first second third"
    assert decoded(encoding, *chunks, b"\0", b"\0") == b"first second third"
    assert decoded(encoding, *chunks, packed[:1]) == b"first second third"


def test_a_gzip_bomb_ends_at_the_limit() -> None:
    """At most one piece beyond the limit is decompressed."""
    bomb = gzip_bomb(50).body
    with pytest.raises(BodyTooLargeError):
        decoded("gzip", bomb)


@pytest.mark.parametrize(
    ("encoding", "chunk"),
    [("", b"x"), ("gzip", gzip.compress(b"", mtime=0)), ("gzip", gzip.compress(b"", mtime=0) * 2)],
    ids=["chunks", "empty members", "several to a chunk"],
)
def test_a_body_in_very_many_pieces_is_refused(encoding: str, chunk: bytes) -> None:
    """Each piece costs time and memory, even if it is nearly empty."""
    with pytest.raises(BodyTooLargeError, match="more than 100000 pieces"):
        decoded(encoding, *itertools.repeat(chunk, MAX_PIECES + 1), limit=1_000_000_000)


def test_what_is_sent_is_bounded_even_where_nothing_comes_out() -> None:
    """Padding after the end of compressed data is ignored, but not for ever."""
    with pytest.raises(BodyTooLargeError, match="before it is decoded"):
        decoded("gzip", gzip.compress(b"x"), *itertools.repeat(bytes(1000), 2000))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"not gzip"),
        ("deflate", b"\xff\xff"),
        ("gzip", gzip.compress(b"x" * 99, mtime=0)[:-9]),
        ("br", b"not brotli"),
        ("br", brotli.compress(DATA)[:-3]),
        ("zstd", b"not zstd"),
        ("zstd", zstd.compress(DATA)[:-3]),
    ],
)
def test_a_body_that_is_not_what_it_claims_is_an_error(encoding: str, body: bytes) -> None:
    """Damaged and cut compressed data fails, it is not passed on in part."""
    with pytest.raises(BodyEncodingError):
        decoded(encoding, body)


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip", "br, zstd", "foo", "x" * 90])
def test_unknown_and_stacked_encodings_are_refused_with_the_first_byte(encoding: str) -> None:
    """Stacked encodings exist to multiply a bomb. A body that is not there needs no decoding."""
    assert decoded(encoding) == b""
    with pytest.raises(BodyEncodingError, match="not supported"):
        decoded(encoding, b"x")


@pytest.mark.parametrize(
    "encoding",
    [
        "",
        "identity",
        "none",
        "UTF-8",
        "utf8",
        "ISO-8859-1",
        "aws-chunked",
        "application/json",
        "charset=UTF-8",
        "base64",
        "json",
        '"none"',
        "identity, utf-8",
        ",",
    ],
)
def test_what_names_no_coding_leaves_the_body_as_it_is(encoding: str) -> None:
    """Services write charsets and other words into the header, and mean nothing by it."""
    assert decoded(encoding, b"a", b"b") == b"ab"


@pytest.mark.parametrize(
    "encoding",
    ["aws-chunked,gzip", "gzip, identity", "GZIP, UTF-8", "gzip;q=1.0", "text/html, gzip", " x-gzip "],
)
def test_one_coding_among_words_that_name_none_is_decoded(encoding: str) -> None:
    """Amazon S3 keeps `aws-chunked` beside the coding of what was stored."""
    assert decoded(encoding, gzip.compress(b"hello")) == b"hello"


@pytest.mark.parametrize(
    ("encoding", "packed"), [("br", brotli.compress(DATA)), ("zstd", zstd.compress(DATA))]
)
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_brotli_and_zstandard_are_decoded_in_any_chunking(encoding: str, packed: bytes, size: int) -> None:
    """Half of today's services send one of them where a client says that it takes them."""
    assert decoded(encoding, *(packed[at : at + size] for at in range(0, len(packed), size))) == DATA


def test_zstandard_may_come_in_several_frames() -> None:
    """As gzip may come in several members."""
    assert decoded("zstd", zstd.compress(b"a") + zstd.compress(b"b"), b"\0\0") == b"ab"


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [("br", brotli.compress(bytes(50_000_000), quality=3)), ("zstd", zstd.compress(bytes(50_000_000)))],
    ids=["br", "zstd"],
)
def test_bombs_of_the_newer_codings_end_at_the_limit(encoding: str, bomb: bytes) -> None:
    """Within a second and 50 MB, as gzip's do: output is asked for in pieces."""

    def decode() -> None:
        with pytest.raises(BodyTooLargeError):
            decoded(encoding, bomb)

    bounded(decode)


def test_zstandard_with_a_window_beyond_the_standards_is_refused() -> None:
    """A window is memory that a few bytes ask for (RFC 9659)."""
    wide: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    packer = zstd.ZstdCompressor(options=wide)
    packed = packer.compress(bytes(1000)) + packer.flush()
    with pytest.raises(BodyEncodingError, match="too much memory"):
        decoded("zstd", packed)


def test_an_encoding_that_is_quoted_in_part_is_redacted_before_it_is_cut() -> None:
    """It may be anything, a secret too."""
    with pytest.raises(BodyEncodingError, match=r"'x*'\.\.\. is not"):
        decoded("x" * 90, b"x")
    secrets = Secrets({}, own=["canary-secret-value"])
    with redacting(secrets.redact), pytest.raises(BodyEncodingError) as caught:
        decoded("x" * 50 + "canary-secret-value", b"x")
    assert "cana" not in str(caught.value)
