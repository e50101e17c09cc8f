"""Keys, their values, when they expire, and which have changed since somebody has WATCHed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import redis

from flowengine.testing.memory.sorted_set import SortedSet
from flowengine.testing.memory.stream import Stream

Value: TypeAlias = "bytes | dict[bytes, bytes] | list[bytes] | SortedSet | Stream"
ValueT = TypeVar("ValueT", bytes, dict[bytes, bytes], list[bytes], SortedSet, Stream)


class WrongTypeError(redis.ResponseError):
    """A key holds a value of another type."""

    def __init__(self) -> None:
        super().__init__("WRONGTYPE Operation against a key holding the wrong kind of value")


class Keyspace:
    """All keys. `clock`: milliseconds since the epoch."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self._values: dict[bytes, Value] = {}
        self._expires: dict[bytes, int] = {}
        self._changed: dict[bytes, int] = {}
        self._changes = 0

    def __contains__(self, key: bytes) -> bool:
        return self._live(key) is not None

    def keys(self) -> list[bytes]:
        """All that are there, sorted."""
        return sorted(key for key in list(self._values) if key in self)

    def version(self, key: bytes) -> int:
        """A number that grows with each change of the key."""
        return self._changed.get(key, 0)

    def touch(self, key: bytes) -> None:
        """The key has changed."""
        self._changes += 1
        self._changed[key] = self._changes

    def find(self, key: bytes, kind: type[ValueT]) -> ValueT | None:
        """The value; None if there is none. Raises WrongTypeError."""
        if key in self._expires:
            self.drop_expired(key)
        value = self._values.get(key)
        if value is None or type(value) is kind:
            return value
        raise WrongTypeError

    def open(self, key: bytes, kind: type[ValueT]) -> ValueT:
        """The value, made empty if there is none, for a change. Raises WrongTypeError."""
        value = self.find(key, kind)
        if value is None:
            value = self._values[key] = kind()
        self.touch(key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Set a text, without a time to live."""
        self._values[key] = value
        self._expires.pop(key, None)
        self.touch(key)

    def change(self, key: bytes, value: bytes) -> None:
        """Set a text that keeps its time to live."""
        self._values[key] = value
        self.touch(key)

    def close(self, key: bytes) -> None:
        """Drop the key if its value has become empty."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, bytes | Stream) and not len(value):
            self.drop(key)

    def drop(self, key: bytes) -> bool:
        """Remove the key; whether it was there."""
        if self._live(key) is None:
            return False
        del self._values[key]
        self._expires.pop(key, None)
        self.touch(key)
        return True

    def expires_at(self, key: bytes) -> int | None:
        """When the key expires, in milliseconds since the epoch."""
        return self._expires.get(key)

    def expire(self, key: bytes, at: int | None) -> None:
        """Let the key expire then; None: never. What is past already expires at once."""
        if at is None:
            self._expires.pop(key, None)
        else:
            self._expires[key] = at
        self.touch(key)

    def drop_expired(self, key: bytes) -> None:
        """Remove the key if its time is over."""
        at = self._expires.get(key)
        if at is not None and at <= self.clock():
            del self._values[key], self._expires[key]
            self.touch(key)

    def _live(self, key: bytes) -> Value | None:
        if key in self._expires:
            self.drop_expired(key)
        return self._values.get(key)
