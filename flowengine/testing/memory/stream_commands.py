"""Commands of streams, without groups: the loop that drives the engine knows what it has in hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import redis

from flowengine.testing.memory.arguments import Args, Carry
from flowengine.testing.memory.keyspace import Keyspace
from flowengine.testing.memory.stream import Stream, bound


def _read(space: Keyspace, key: bytes) -> Stream | None:
    return space.find(key, Stream)


def _add(space: Keyspace, args: Args) -> object:
    key, *rest = args
    at = rest.index(b"*")
    options, fields = rest[:at], rest[at + 1 :]
    if b"NOMKSTREAM" in options and key not in space:
        return None
    entries = space.open(key, Stream)
    entry = entries.add(space.clock(), fields)
    if b"MAXLEN" in options and b"~" not in options:
        entries.trim(int(options[-1]))
    return entry


def _delete(space: Keyspace, args: Args) -> object:
    entries = _read(space, args[0])
    if entries is None:
        return 0
    space.touch(args[0])
    return sum([entries.remove(bound(entry, 0)) for entry in args[1:]])


def _length(space: Keyspace, args: Args) -> object:
    entries = _read(space, args[0])
    return 0 if entries is None else len(entries)


def _most(options: Args) -> int | None:
    return int(options[1]) if options[:1] == [b"COUNT"] else None


def _range(space: Keyspace, args: Args) -> object:
    key, low, high, *options = args
    entries = _read(space, key)
    return [] if entries is None else entries.between(low, high, _most(options))


def _range_backwards(space: Keyspace, args: Args) -> object:
    key, high, low, *options = args
    entries = _read(space, key)
    return [] if entries is None else entries.between(low, high, _most(options), backwards=True)


def _acknowledge(space: Keyspace, args: Args) -> object:
    return 0


def _facts(space: Keyspace, args: Args) -> object:
    entries = _read(space, args[1]) if args[0] == b"STREAM" else None
    if entries is None:
        raise redis.ResponseError("ERR no such key")
    return [b"length", len(entries), b"entries-added", entries.added]


COMMANDS: Final[Mapping[bytes, Carry]] = MappingProxyType(
    {
        b"XADD": _add,
        b"XDEL": _delete,
        b"XLEN": _length,
        b"XRANGE": _range,
        b"XREVRANGE": _range_backwards,
        b"XACK": _acknowledge,
        b"XINFO": _facts,
    }
)
