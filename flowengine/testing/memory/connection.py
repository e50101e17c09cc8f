"""Connections to a keyspace in this process, as the store's sessions use them: no bytes are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

import redis

from flowengine.store.connection.packing import Command, unpack
from flowengine.testing.memory import (
    hash_commands,
    list_commands,
    sorted_set_commands,
    stream_commands,
    text_commands,
)
from flowengine.testing.memory.arguments import Args, Carry, encoded
from flowengine.testing.memory.keyspace import Keyspace

COMMANDS: Final[Mapping[bytes, Carry]] = MappingProxyType(
    {
        **text_commands.COMMANDS,
        **hash_commands.COMMANDS,
        **list_commands.COMMANDS,
        **sorted_set_commands.COMMANDS,
        **stream_commands.COMMANDS,
    }
)
"""All but those of transactions, which are the connection's."""

_BY_NAME: Final[dict[object, Carry]] = {
    name: carry for written, carry in COMMANDS.items() for name in (written, written.decode())
}
"""By their names as the store writes them."""


class MemoryConnection:
    """One connection: what it WATCHes, and the transaction that it is in."""

    is_connected = True

    def __init__(self, space: Keyspace) -> None:
        self._space = space
        self._replies: list[Any] = []
        self._watched: dict[bytes, int] = {}
        self._queued: list[tuple[Carry, Args]] | None = None
        own: Mapping[str, Callable[[Args], object]] = {
            "WATCH": self._watch,
            "UNWATCH": self._unwatch,
            "MULTI": self._begin,
            "EXEC": self._executed,
        }
        self._own = {written: carry for name, carry in own.items() for written in (name, name.encode())}

    def pack_commands(self, commands: Sequence[Command]) -> Sequence[Command]:
        """The commands as they are."""
        return commands

    def send_packed_command(self, commands: Sequence[Command], check_health: bool = True) -> None:
        """Carry them out. Their replies wait for `read_replies`."""
        # This is the hot loop of `flowengine test`: a call an argument is half of what a command takes.
        replies, space = self._replies, self._space
        for name, *arguments in map(unpack, commands):
            args = [
                argument.encode()
                if type(argument) is str
                else argument
                if type(argument) is bytes
                else encoded(argument)
                for argument in arguments
            ]
            carry = _BY_NAME.get(name)
            if carry is None:
                replies.append(self._own[name](args) if name in self._own else _unknown(name))
            elif self._queued is not None:
                self._queued.append((carry, args))
                replies.append(b"QUEUED")
            else:
                try:
                    replies.append(carry(space, args))
                except redis.ResponseError as error:
                    replies.append(error)

    def read_replies(self, count: int, queued: int = 0) -> list[Any]:
        """The next replies; an error reply is among them as a value."""
        replies, self._replies = self._replies[:count], self._replies[count:]
        return replies

    def disconnect(self) -> None:
        """Forget what is WATCHed, queued and unread."""
        self._replies = []
        self._watched = {}
        self._queued = None

    def _watch(self, keys: Args) -> object:
        for key in keys:
            self._watched.setdefault(key, self._version(key))
        return b"OK"

    def _unwatch(self, args: Args) -> object:
        self._watched = {}
        return b"OK"

    def _begin(self, args: Args) -> object:
        self._queued = []
        return b"OK"

    def _executed(self, args: Args) -> object:
        queued, self._queued = self._queued or [], None
        watched, self._watched = self._watched, {}
        for key, version in watched.items():
            if self._version(key) != version:
                return None
        return [self._carried_out(carry, arguments) for carry, arguments in queued]

    def _carried_out(self, carry: Carry, args: Args) -> object:
        try:
            return carry(self._space, args)
        except redis.ResponseError as error:
            return error

    def _version(self, key: bytes) -> int:
        """What has expired meanwhile has changed, which a look at the key finds."""
        self._space.drop_expired(key)
        return self._space.version(key)


def _unknown(name: object) -> redis.ResponseError:
    return redis.ResponseError(f"ERR unknown command {name!r}")


class MemoryPool:
    """Makes connections."""

    def __init__(self, space: Keyspace) -> None:
        self._space = space

    def make_connection(self) -> MemoryConnection:
        """A new one."""
        return MemoryConnection(self._space)


class MemoryClient:
    """As much of redis-py's client as the store asks for."""

    def __init__(self, space: Keyspace) -> None:
        self.space = space
        self.connection_pool = MemoryPool(space)


def client_of(space: Keyspace) -> redis.Redis:
    """A client that the store takes for redis-py's."""
    return cast(redis.Redis, MemoryClient(space))
