"""What is stored on a server, read in a few round trips, for the checks that judge it.

The invariants look at every key of every execution, in some tests thousands of times: asking the server for
one after the other takes longer than what is tested. Judges nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Client: TypeAlias = Any
"""A redis.Redis: its own types are unions of every protocol and decoding."""

KEYS_AT_ONCE: Final = 10_000
UNREAD: Final = (b"fe:audit", b"fe:changes")
"""Streams that may be long, and that no check looks into."""

Key: TypeAlias = str | bytes


class Snapshot:
    """A server's content, asked for as the server is. What is of another type than is asked for fails.

    `only`: of what belongs to executions, that of this one; what belongs to none is there in any case.
    """

    def __init__(self, client: Client, *, only: str | None = None) -> None:
        own = f"fe:x:{only}:".encode()
        found = dict.fromkeys(client.scan_iter(count=KEYS_AT_ONCE))
        self.keys = [
            key for key in found if only is None or not key.startswith(b"fe:x:") or key.startswith(own)
        ]
        self._grouped: dict[bytes, list[bytes]] = defaultdict(list)
        for key in self.keys:
            parts = key.split(b":", 3)
            for count in range(1, len(parts)):
                self._grouped[b":".join(parts[:count]) + b":"].append(key)
        self._client = client
        self._kinds: dict[bytes, str] = {}
        self._ttls: dict[bytes, int] = {}
        self._values: dict[bytes, Any] = {}
        self._facts: dict[bytes, tuple[Any, Any]] = {}
        with client.pipeline(transaction=False) as pipe:
            self._read(pipe)

    def _read(self, pipe: Client) -> None:
        for key in self.keys:
            pipe.type(key)
            pipe.ttl(key)
        replies = pipe.execute()
        for key, kind, ttl in zip(self.keys, replies[::2], replies[1::2], strict=True):
            self._kinds[key], self._ttls[key] = kind.decode(), ttl
        read = [key for key in self.keys if key not in UNREAD]
        for key in read:
            _ask(pipe, self._kinds[key], key)
        # What has expired since may be refused.
        replies = iter(pipe.execute(raise_on_error=False))
        for key in read:
            if self._kinds[key] == "stream":
                self._values[key], *facts = (next(replies) for _ in range(3))
                self._facts[key] = (facts[0], facts[1])
            else:
                value = next(replies)
                self._values[key] = dict(value) if self._kinds[key] == "zset" else value

    def starting_with(self, prefix: str) -> list[bytes]:
        """The keys whose names begin so: with one, two or three words, and a colon after each."""
        return self._grouped.get(prefix.encode(), [])

    def type(self, key: Key) -> str:
        """The type of a key; `none` where there is none."""
        return self._kinds.get(_name(key), "none")

    def ttl(self, key: Key) -> int:
        """For how many seconds it stays; -1 for ever, -2 without it."""
        return self._ttls.get(_name(key), -2)

    def expiretime(self, key: Key) -> int:
        """When it goes, in seconds; from the server itself."""
        return int(self._client.expiretime(key))

    def exists(self, key: Key) -> bool:
        """Whether it is there."""
        return self.type(key) != "none"

    def fetch(self, key: Key) -> bytes | None:
        """The value of a string, from the server itself: it may belong to another execution."""
        found: bytes | None = self._client.get(key)
        return found

    def fetch_field(self, key: Key, field: str) -> str | None:
        """A field of a hash, from the server itself."""
        found: bytes | None = self._client.hget(key, field)
        return None if found is None else found.decode()

    def get(self, key: Key) -> bytes | None:
        """The value of a string."""
        found: bytes | None = self._value(key, "string", None)
        return found

    def hgetall(self, key: Key) -> Mapping[bytes, bytes]:
        """The fields of a hash."""
        found: Mapping[bytes, bytes] = self._value(key, "hash", {})
        return found

    def lrange(self, key: Key) -> list[bytes]:
        """The members of a list."""
        found: list[bytes] = self._value(key, "list", [])
        return found

    def zrange(self, key: Key, first: int, last: int) -> list[bytes]:
        """The members of a sorted set from one place to another, both included."""
        members = list(self._value(key, "zset", {}))
        return members[first:] if last == -1 else members[first : last + 1]

    def zscore(self, key: Key, member: Key) -> float | None:
        """The score of a member, if it is one."""
        scores: Mapping[bytes, float] = self._value(key, "zset", {})
        return scores.get(_name(member))

    def xrange(self, key: Key, *, count: int | None = None) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """The entries of a stream, oldest first."""
        found: list[tuple[bytes, dict[bytes, bytes]]] = self._value(key, "stream", [])
        return found[:count]

    def xlen(self, key: Key) -> int:
        """How many entries there are."""
        return len(self.xrange(key))

    def xinfo_stream(self, key: Key) -> Mapping[str, Any]:
        """What the server says of a stream."""
        return dict(self._facts[_name(key)][0])

    def xinfo_groups(self, key: Key) -> list[Mapping[str, Any]]:
        """What the server says of a stream's groups."""
        return list(self._facts[_name(key)][1])

    def _value(self, key: Key, kind: str, otherwise: Any) -> Any:
        found = self.type(key)
        if found == "none":
            return otherwise
        assert found == kind, f"{key!r} is a {found}, not a {kind}"
        value = self._values[_name(key)]
        if isinstance(value, Exception):
            raise value
        return value


def _ask(pipe: Client, kind: str, key: bytes) -> None:
    match kind:
        case "string" | "none":
            pipe.get(key)
        case "hash":
            pipe.hgetall(key)
        case "list":
            pipe.lrange(key, 0, -1)
        case "zset":
            pipe.zrange(key, 0, -1, withscores=True)
        case "stream":
            pipe.xrange(key)
            pipe.xinfo_stream(key)
            pipe.xinfo_groups(key)
        case _:
            # Of no kind that anything here is: its type says enough.
            pipe.exists(key)


def _name(key: Key) -> bytes:
    return key.encode() if isinstance(key, str) else key
