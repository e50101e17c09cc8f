"""Commands of lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from flowengine.testing.memory.arguments import Args, Carry, span
from flowengine.testing.memory.keyspace import Keyspace


def _read(space: Keyspace, key: bytes) -> Sequence[bytes]:
    return space.find(key, list) or ()


def _push(space: Keyspace, args: Args) -> object:
    values = space.open(args[0], list)
    values += args[1:]
    return len(values)


def _length(space: Keyspace, args: Args) -> object:
    return len(_read(space, args[0]))


def _range(space: Keyspace, args: Args) -> object:
    values = _read(space, args[0])
    return list(values[span(args[1], args[2], len(values))])


def _index(space: Keyspace, args: Args) -> object:
    values, at = _read(space, args[0]), int(args[1])
    return values[at] if -len(values) <= at < len(values) else None


def _position(space: Keyspace, args: Args) -> object:
    values = _read(space, args[0])
    return values.index(args[1]) if args[1] in values else None


def _remove(space: Keyspace, args: Args) -> object:
    """LREM with a count above 0, as it is used: from the first one on."""
    key, count, wanted = args
    gone = min(int(count), _read(space, key).count(wanted))
    if gone:
        values = space.open(key, list)
        for _ in range(gone):
            values.remove(wanted)
        space.close(key)
    return gone


COMMANDS: Final[Mapping[bytes, Carry]] = MappingProxyType(
    {
        b"RPUSH": _push,
        b"LLEN": _length,
        b"LRANGE": _range,
        b"LINDEX": _index,
        b"LPOS": _position,
        b"LREM": _remove,
    }
)
