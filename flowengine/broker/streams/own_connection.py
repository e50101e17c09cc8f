"""A client for one thread, which keeps one connection.

redis-py takes a connection from its pool for each command, and asks poll() whether it still lives. For a
consumer that reads again and again, that costs more than the command.
"""

from __future__ import annotations

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

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The reply of one command. Raises redis.RedisError; a lost connection is made anew next time."""
        connection = self._own
        if connection is None:
            connection = self._own = self.connection_pool.get_connection()
        try:
            connection.send_command(*args)
            return connection.read_response()
        except redis.exceptions.ReadOnlyError:
            # This server is a replica now. A new connection to the same address may lead to the new primary.
            connection.disconnect()
            raise
        except redis.ResponseError:
            raise
        except BaseException:
            connection.disconnect()
            raise

    def close(self) -> None:
        """Close the connection and its pool."""
        self._own = None
        super().close()
        self.connection_pool.disconnect()
