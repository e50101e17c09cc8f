"""A posted document is given back as it came, whatever its size."""

from __future__ import annotations

import random
import zlib

import pytest

from flowengine.workflow.posting.posted_document import JSON, YAML, PostedDocument, pack, unpack


@pytest.mark.parametrize("size", [0, 1, 400, 4095, 4096, 4097, 100_000])
@pytest.mark.parametrize("media_type", [JSON, YAML])
def test_a_document_is_given_back_as_it_was_posted(size: int, media_type: str) -> None:
    """On both sides of the size from which on it is compressed with a large window; noise, and text."""
    for text in (random.Random(size).randbytes(size), (b"- id: node\n" * size)[:size]):
        document = PostedDocument(text, media_type)
        assert unpack(pack(document)) == document


def test_a_small_document_takes_no_more_bytes_than_with_a_large_window() -> None:
    """Nothing in it is farther away than the small one reaches."""
    text = b"".join(b'{"id": "n%d", "handler": "noop", "config": {}},' % number for number in range(80))
    assert len(text) < 4096
    packed = pack(PostedDocument(text, JSON))
    assert len(packed) <= len(JSON) + 1 + len(zlib.compress(text)) + 16
