"""One connection on which a server is asked what it lets its user do. It decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import redis

from flowengine.store.connection.packing import Command


class Probe:
    """A connection of its own, as a context manager. An error that the server answers is a reply.

    Every method raises redis.RedisError or OSError if the server cannot be reached or refuses who asks.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._connection = client.connection_pool.make_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.disconnect()

    def ask(self, *commands: Command) -> list[Any]:
        """The replies to commands, which are carried out: one round trip."""
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [self._reply() for _ in commands]

    def queue(self, commands: Sequence[Command]) -> list[Any]:
        """What the server says to commands that it queues for a transaction, which never comes.

        None of them is carried out: the connection is closed, and the queue with it. Empty if the server
        opens no transaction.
        """
        (opened,) = self.ask(("MULTI",))
        if isinstance(opened, redis.ResponseError):
            return []
        try:
            return self.ask(*commands)
        finally:
            self._connection.disconnect()

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error
