"""Ordinary messages as bytes."""

from __future__ import annotations

import dramatiq
import pytest
from dramatiq.errors import DecodeError

from flowengine.broker.streams.dramatiq_messages import decode_message, encode_message

MESSAGE: dramatiq.Message[None] = dramatiq.Message(
    queue_name="q", actor_name="act", args=(1, "ü"), kwargs={"k": [None]}, options={"o": 1}
)


def test_message_survives_the_way_there_and_back() -> None:
    """Decoding what was encoded gives an equal message."""
    assert decode_message(encode_message(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b"[" * 50_000])
def test_garbage_is_a_decode_error(data: bytes) -> None:
    """Bytes that are no message raise Dramatiq's own error, whatever they are."""
    with pytest.raises(DecodeError):
        decode_message(data)
