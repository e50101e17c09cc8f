"""What a message looks like inside a stream entry. Pure.

An engine message is two fields: `a`, the actor's name, and `pN`, its payload (JSON bytes of a struct from
`flowengine.execution.messages`), where N is the version of the format. The actor receives a list of
payloads, of length one unless the consumer joined several. A message of any other Dramatiq actor is one
field, `m`: the whole message.
"""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from flowengine.engine.held import Sink
from flowengine.execution.messages import MESSAGES, Payload, kind_of
from flowengine.jsonvalue import UNREADABLE
from flowengine.queues import stream_key
from flowengine.stored_format import FORMAT, READABLE

ACTOR: Final = b"a"
PAYLOAD: Final = b"p%d" % FORMAT
MESSAGE: Final = b"m"

READABLE_PAYLOADS: Final = frozenset(b"p%d" % version for version in READABLE)


class UndecodablePayloadError(ValueError):
    """An actor cannot read its payload and never will: alone, the message goes to the dead letters."""


_encode = msgspec.json.Encoder().encode


def _decoders() -> dict[str, msgspec.json.Decoder[Any]]:
    types = defaultdict(list)
    for kind in MESSAGES:
        types[kind.actor].append(kind.payload)
    return {actor: msgspec.json.Decoder(reduce(or_, found)) for actor, found in types.items()}


_DECODERS: Final = _decoders()


def is_engine_message(fields: list[bytes]) -> bool:
    """Whether these are the fields of an engine message, of whatever version."""
    return len(fields) == 4 and fields[0] == ACTOR and fields[2][:1] == b"p" and fields[2][1:].isdigit()


def post(sink: Sink, queue: str, message: Payload, partition: str = "") -> None:
    """Queue the sending of an engine message: exactly one command."""
    actor = kind_of(message).actor
    sink.execute_command("XADD", stream_key(queue, partition), "*", ACTOR, actor, PAYLOAD, _encode(message))


def decode(actor: str, payload: bytes) -> Any:
    """The struct that an actor works with, by the table of messages.

    Raises UndecodablePayloadError: alone, its message goes to the dead letters.
    """
    try:
        return _DECODERS[actor].decode(payload)
    except UNREADABLE as error:
        raise UndecodablePayloadError(f"a payload that nobody can read: {error}") from error
