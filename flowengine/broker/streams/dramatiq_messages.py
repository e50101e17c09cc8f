"""Ordinary Dramatiq messages as bytes: JSON, by msgspec.

Dramatiq keeps one encoder per process in a global. The broker does not use it, so that two brokers in one
process cannot disturb each other.
"""

from __future__ import annotations

from typing import Any

import dramatiq
import msgspec

from flowengine.broker.errors import undecodable
from flowengine.jsonvalue import UNREADABLE


class _Envelope(msgspec.Struct, frozen=True):
    queue_name: str
    actor_name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    message_id: str
    message_timestamp: int


_encoder = msgspec.json.Encoder()
_envelope_decoder = msgspec.json.Decoder(_Envelope)


def encode_message(message: dramatiq.Message[Any]) -> bytes:
    """The whole message as JSON. Raises TypeError for what JSON cannot carry."""
    return _encoder.encode(message.asdict())


def decode_message(data: bytes) -> dramatiq.Message[Any]:
    """The message that `encode_message` wrote. Raises dramatiq.errors.DecodeError."""
    try:
        envelope = _envelope_decoder.decode(data)
    except UNREADABLE as error:
        raise undecodable(data, error) from error
    return dramatiq.Message(
        queue_name=envelope.queue_name,
        actor_name=envelope.actor_name,
        args=envelope.args,
        kwargs=envelope.kwargs,
        options=envelope.options,
        message_id=envelope.message_id,
        message_timestamp=envelope.message_timestamp,
    )
