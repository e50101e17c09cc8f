"""What a message looks like inside a stream entry. Pure.

An engine message is two fields: `a`, the actor's name, and `pN`, its payload (JSON bytes of a struct from
`flowengine.execution.messages`), where N is the version of the format. The actor receives a list of
payloads, of length one unless the consumer joined several. Version 1 called its payload `p`. A message of
any other Dramatiq actor is one field, `m`: the whole message.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from flowengine.engine.held import Sink
from flowengine.execution.messages import MESSAGES, Payload, format_of, kind_of
from flowengine.jsonvalue import UNREADABLE
from flowengine.queues import GROUP, stream_key
from flowengine.stored_format import CORE_FORMAT, READABLE

ACTOR: Final = b"a"
PAYLOAD: Final = b"p%d" % CORE_FORMAT
"""The payload field of what uses nothing newer than the core."""
MESSAGE: Final = b"m"

_FIELDS: Final = {version: b"p%d" % version for version in READABLE}

READABLE_PAYLOADS: Final = frozenset(_FIELDS.values())
"""The payload fields of the versions that this process reads."""


_PAYLOAD_FIELD: Final = re.compile(rb"p(\d{0,9})")


class UndecodablePayloadError(ValueError):
    """Nobody can read a payload. A message that carries only this payload goes to the dead letters."""


_encode = msgspec.json.Encoder().encode


def _decoders() -> dict[str, msgspec.json.Decoder[Any]]:
    types = defaultdict(list)
    for kind in MESSAGES:
        types[kind.actor].append(kind.payload)
    return {actor: msgspec.json.Decoder(reduce(or_, found)) for actor, found in types.items()}


_DECODERS: Final = _decoders()


def version_of(fields: Sequence[bytes]) -> int | None:
    """The version of an engine message; None for the fields of anything else."""
    if len(fields) != 4 or fields[0] != ACTOR:
        return None
    if fields[2] == PAYLOAD:
        return CORE_FORMAT
    found = _PAYLOAD_FIELD.fullmatch(fields[2])
    return int(found[1] or 1) if found else None


class Understood(msgspec.Struct, frozen=True):
    """The engine messages that a process can deal with: those of these versions, for these actors."""

    actors: Container[str]
    payloads: frozenset[bytes] = READABLE_PAYLOADS

    def covers(self, fields: Sequence[bytes]) -> bool:
        """Whether the message with these fields is one of them."""
        return (
            len(fields) == 4
            and fields[2] in self.payloads
            and fields[1].decode(errors="replace") in self.actors
        )


def post(sink: Sink, queue: str, message: Payload, partition: str = "", owner: str = "") -> None:
    """Queue the sending of an engine message: exactly one command."""
    key, actor = stream_key(queue, partition, owner), kind_of(message).actor
    sink.execute_command("XADD", key, "*", ACTOR, actor, _FIELDS[format_of(message)], _encode(message))


def acknowledge(sink: Sink, stream: str, ids: Sequence[bytes]) -> None:
    """Queue exactly two commands: acknowledge these entries, and remove them from their stream."""
    sink.execute_command("XACK", stream, GROUP, *ids)
    sink.execute_command("XDEL", stream, *ids)


def payload_of(fields: Sequence[bytes]) -> Payload | None:
    """What the fields of an engine message say; None for what this process cannot read."""
    if len(fields) != 4 or fields[0] != ACTOR or fields[2] not in READABLE_PAYLOADS:
        return None
    try:
        payload: Payload = decode(fields[1].decode(), fields[3])
    except (UndecodablePayloadError, LookupError, UnicodeDecodeError):
        return None
    return payload


def decode(actor: str, payload: bytes) -> Any:
    """The struct that an actor works with, by the table of messages.

    Raises UndecodablePayloadError.
    """
    try:
        return _DECODERS[actor].decode(payload)
    except UNREADABLE as error:
        raise UndecodablePayloadError(f"a payload that nobody can read: {error}") from error
