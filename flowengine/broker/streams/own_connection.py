"""A client for one thread, which keeps one connection.

redis-py takes a connection from its pool for each command, and asks poll() whether it still lives. For a
consumer that reads again and again, that costs more than the command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.connection import ConnectionInterface


class OwnConnection(redis.Redis):
    """Sends on one connection of another client's pool, and reconnects when it was lost. Not thread-safe.

    For commands whose names are given as bytes: redis-py does not reshape their replies.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(connection_pool=client.connection_pool)
        self._own: ConnectionInterface | None = None
        self._read_replies: Callable[[int], list[Any]] | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The reply of one command. Raises redis.RedisError; a lost connection is made anew next time."""
        connection = self._own
        if connection is None:
            connection = self._own = self.connection_pool.get_connection()
            self._read_replies = getattr(connection, "read_replies", None)
        try:
            connection.send_command(*args)
            if self._read_replies is None:
                return connection.read_response()
            (reply,) = self._read_replies(1)
            if isinstance(reply, redis.ResponseError):
                raise reply
            return reply
        except redis.exceptions.ReadOnlyError:
            # This server is a replica now. A new connection to the same address may lead to the new primary.
            connection.disconnect()
            raise
        except redis.ResponseError:
            raise
        except OSError as error:
            connection.disconnect()
            raise redis.ConnectionError(f"the connection was lost: {error}") from error
        except BaseException:
            connection.disconnect()
            raise

    def close(self) -> None:
        """Close the connection and its pool."""
        self._own = None
        super().close()
        self.connection_pool.disconnect()
