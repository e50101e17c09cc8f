"""Node records as bytes: the field `state` of `fe:x:ID:node:NODE`."""

from __future__ import annotations

import msgspec

from flowengine.execution.records import UNTOUCHED, NodeRecord

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(NodeRecord)


def encode_record(record: NodeRecord) -> bytes:
    """The record as JSON."""
    return _encoder.encode(record)


def decode_record(data: bytes | None) -> NodeRecord:
    """The record of stored bytes; a node never written is pending, never attempted."""
    return UNTOUCHED if data is None else _decoder.decode(data)
