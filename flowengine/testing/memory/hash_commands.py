"""Commands of hashes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowengine.testing.memory.arguments import Args, Carry
from flowengine.testing.memory.keyspace import Keyspace

_NOTHING: Final[Mapping[bytes, bytes]] = MappingProxyType({})


def _read(space: Keyspace, key: bytes) -> Mapping[bytes, bytes]:
    return space.find(key, dict) or _NOTHING


def _get(space: Keyspace, args: Args) -> object:
    return _read(space, args[0]).get(args[1])


def _get_many(space: Keyspace, args: Args) -> object:
    return list(map(_read(space, args[0]).get, args[1:]))


def _get_all(space: Keyspace, args: Args) -> object:
    return [part for pair in _read(space, args[0]).items() for part in pair]


def _keys(space: Keyspace, args: Args) -> object:
    return list(_read(space, args[0]))


def _scan(space: Keyspace, args: Args) -> object:
    """All fields at once, as Redis answers for small hashes, whatever COUNT says."""
    return [b"0", _get_all(space, args)]


def _length(space: Keyspace, args: Args) -> object:
    return len(_read(space, args[0]))


def _exists(space: Keyspace, args: Args) -> object:
    return int(args[1] in _read(space, args[0]))


def _text_length(space: Keyspace, args: Args) -> object:
    return len(_read(space, args[0]).get(args[1], b""))


def _set(space: Keyspace, args: Args) -> object:
    fields = space.open(args[0], dict)
    before = len(fields)
    fields.update(zip(args[1::2], args[2::2], strict=True))
    return len(fields) - before


def _set_new(space: Keyspace, args: Args) -> object:
    key, field, value = args
    if field in _read(space, key):
        return 0
    space.open(key, dict)[field] = value
    return 1


def _delete(space: Keyspace, args: Args) -> object:
    key = args[0]
    if not any(field in _read(space, key) for field in args[1:]):
        return 0
    fields = space.open(key, dict)
    gone = sum([fields.pop(field, None) is not None for field in args[1:]])
    space.close(key)
    return gone


def _add(space: Keyspace, args: Args) -> object:
    key, field, by = args
    fields = space.open(key, dict)
    number = int(fields.get(field, b"0")) + int(by)
    fields[field] = b"%d" % number
    return number


COMMANDS: Final[Mapping[bytes, Carry]] = MappingProxyType(
    {
        b"HGET": _get,
        b"HMGET": _get_many,
        b"HGETALL": _get_all,
        b"HKEYS": _keys,
        b"HSCAN": _scan,
        b"HLEN": _length,
        b"HEXISTS": _exists,
        b"HSTRLEN": _text_length,
        b"HSET": _set,
        b"HSETNX": _set_new,
        b"HDEL": _delete,
        b"HINCRBY": _add,
    }
)
