"""Connections to a keyspace in this process, as the store's sessions use them: no bytes are sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

import redis

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


def carry_out(space: Keyspace, args: Args) -> object:
    """The reply of one command. Raises redis.ResponseError."""
    command = COMMANDS.get(args[0])
    if command is None:
        raise redis.ResponseError(f"ERR unknown command '{args[0].decode(errors='replace')}'")
    return command(space, args[1:])


class MemoryConnection:
    """One connection: what it WATCHes, and the transaction that it is in."""

    is_connected = True

    def __init__(self, space: Keyspace) -> None:
        self._space = space
        self._replies: deque[object] = deque()
        self._watched: dict[bytes, int] = {}
        self._queued: list[Args] | None = None

    def pack_commands(self, commands: Sequence[tuple[Any, ...]]) -> list[Args]:
        """The commands with their arguments as bytes."""
        return [[encoded(argument) for argument in command] for command in commands]

    def send_packed_command(self, commands: Sequence[Args], check_health: bool = True) -> None:
        """Carry them out. Their replies wait for `read_response`."""
        self._replies += [self._reply(args) for args in commands]

    def read_response(self) -> object:
        """The next reply. Raises redis.ResponseError for one that is an error."""
        reply = self._replies.popleft()
        if isinstance(reply, redis.ResponseError):
            raise reply
        return reply

    def disconnect(self) -> None:
        """Forget what is WATCHed, queued and unread."""
        self._replies.clear()
        self._watched.clear()
        self._queued = None

    def _reply(self, args: Args) -> object:
        match args[0]:
            case b"WATCH":
                for key in args[1:]:
                    self._watched.setdefault(key, self._version(key))
                return b"OK"
            case b"UNWATCH":
                self._watched.clear()
                return b"OK"
            case b"MULTI":
                self._queued = []
                return b"OK"
            case b"EXEC":
                return self._executed()
        if self._queued is not None:
            self._queued.append(args)
            return b"QUEUED"
        return self._carried_out(args)

    def _executed(self) -> object:
        queued, self._queued = self._queued or [], None
        watched, self._watched = self._watched, {}
        if any(self._version(key) != version for key, version in watched.items()):
            return None
        return [self._carried_out(args) for args in queued]

    def _carried_out(self, args: Args) -> object:
        try:
            return carry_out(self._space, args)
        except redis.ResponseError as error:
            return error

    def _version(self, key: bytes) -> int:
        """What has expired meanwhile has changed, which a look at the key finds."""
        self._space.drop_expired(key)
        return self._space.version(key)


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
        self.connection_pool = MemoryPool(space)


def client_of(space: Keyspace) -> redis.Redis:
    """A client that the store takes for redis-py's."""
    return cast(redis.Redis, MemoryClient(space))
