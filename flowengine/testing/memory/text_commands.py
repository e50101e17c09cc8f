"""Commands of keys as such and of texts, and those that ask for the server itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowengine.testing.memory.arguments import Args, Carry
from flowengine.testing.memory.keyspace import Keyspace

MS: Final = 1000


def _ping(space: Keyspace, args: Args) -> object:
    return b"PONG"


def _time(space: Keyspace, args: Args) -> object:
    seconds, ms = divmod(space.clock(), MS)
    return [b"%d" % seconds, b"%d" % (ms * MS)]


def _info(space: Keyspace, args: Args) -> object:
    return b"used_memory:0\r\nmaxmemory:0\r\n"


def _get(space: Keyspace, args: Args) -> object:
    return space.find(args[0], bytes)


def _mget(space: Keyspace, args: Args) -> object:
    return [space.find(key, bytes) for key in args]


def _set(space: Keyspace, args: Args) -> object:
    key, value, *options = args
    words = [word.upper() for word in options]
    if (b"NX" in words and key in space) or (b"XX" in words and key not in space):
        return None
    space.put(key, value)
    for at, word in enumerate(words[:-1]):
        if word in _TIMES:
            space.expire(key, _moment(space, word, words[at + 1]))
    return b"OK"


_TIMES: Final = (b"EX", b"PX", b"EXAT", b"PXAT")


def _moment(space: Keyspace, word: bytes, number: bytes) -> int:
    ms = int(number) * (1 if word.startswith(b"P") else MS)
    return ms if word.endswith(b"AT") else space.clock() + ms


def _append(space: Keyspace, args: Args) -> object:
    key, more = args
    text = (space.find(key, bytes) or b"") + more
    space.change(key, text)
    return len(text)


def _exists(space: Keyspace, args: Args) -> object:
    return sum(key in space for key in args)


def _delete(space: Keyspace, args: Args) -> object:
    return sum([space.drop(key) for key in args])


def _persist(space: Keyspace, args: Args) -> object:
    (key,) = args
    if key not in space or space.expires_at(key) is None:
        return 0
    space.expire(key, None)
    return 1


def _expire_time(space: Keyspace, args: Args) -> object:
    (key,) = args
    if key not in space:
        return -2
    at = space.expires_at(key)
    return -1 if at is None else at // MS


def _expiring(word: bytes) -> Carry:
    def carry_out(space: Keyspace, args: Args) -> object:
        key, number, *options = args
        if key not in space or (options == [b"NX"] and space.expires_at(key) is not None):
            return 0
        space.expire(key, _moment(space, word, number))
        return 1

    return carry_out


COMMANDS: Final[Mapping[bytes, Carry]] = MappingProxyType(
    {
        b"PING": _ping,
        b"TIME": _time,
        b"INFO": _info,
        b"GET": _get,
        b"MGET": _mget,
        b"SET": _set,
        b"APPEND": _append,
        b"EXISTS": _exists,
        b"DEL": _delete,
        b"UNLINK": _delete,
        b"PERSIST": _persist,
        b"EXPIRETIME": _expire_time,
        b"EXPIRE": _expiring(b"EX"),
        b"PEXPIRE": _expiring(b"PX"),
        b"EXPIREAT": _expiring(b"EXAT"),
        b"PEXPIREAT": _expiring(b"PXAT"),
    }
)
