"""A client for tests that ask a server a hundred things each: redis-py's, for a third of the time.

redis-py fetches a connection from a pool for each command, polls it, retries, times and reports. Here one
connection is kept, and an answer is waited for without a limit: that is the test's own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hiredis
import redis


class DirectClient(redis.Redis):
    """Keeps one connection for commands, which threads may share. Never retries."""

    def __init__(self, **options: Any) -> None:
        untyped: Any = super()
        untyped.__init__(**options)
        self._turn = threading.RLock()
        self._kept: Any = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The parsed reply."""
        untyped: Any = self
        with self._connected() as connection:
            connection.send_packed_command(connection.pack_command(*args), check_health=False)
            return untyped.parse_response(connection, args[0], **options)

    def execute_together(self, *commands: Sequence[Any]) -> list[Any]:
        """The replies, as the server sends them, of commands that are sent at once, not as a transaction."""
        packed = b"".join([hiredis.pack_command(tuple(command)) for command in commands])
        with self._connected() as connection:
            connection.send_packed_command([packed], check_health=False)
            replies = [_reply(connection) for _ in commands]
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                raise reply
        return replies

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        pool: Any = self.connection_pool
        with self._turn:
            connection = self._kept = self._kept or pool.get_connection()
            try:
                yield connection
            except redis.ResponseError:
                raise
            except BaseException:
                # What comes later may be the answer to this.
                self._kept = None
                connection.disconnect()
                pool.release(connection)
                raise


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error
