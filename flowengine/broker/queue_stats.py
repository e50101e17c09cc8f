"""How a queue is doing, for `/health` and for operators. Reads only."""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from flowengine.broker.wire import GROUP, stream_key


class QueueStats(msgspec.Struct, frozen=True):
    """`length` counts the messages not yet settled, waiting or in hand; `oldest_age_s` is the first
    one's age by Redis's clock, None if there is none; `consumers` counts the live processes."""

    length: int
    oldest_age_s: float | None
    consumers: int


def queue_stats(client: redis.Redis, queue: str, *, alive_within_s: float = 15.0) -> QueueStats:
    """One round trip. A process counts as live if it talked to Redis within `alive_within_s`.

    Raises redis.RedisError; a queue that was never used is empty.
    """
    key = stream_key(queue)
    pipe = client.pipeline(transaction=False)
    pipe.execute_command(b"TIME")
    pipe.execute_command(b"XLEN", key)
    pipe.execute_command(b"XRANGE", key, b"-", b"+", b"COUNT", 1)
    pipe.execute_command(b"XINFO", b"CONSUMERS", key, GROUP)
    now, length, first, consumers = pipe.execute(raise_on_error=False)
    for reply in (now, length, first):
        if isinstance(reply, Exception):
            raise reply
    return QueueStats(length, _age_s(now, first), _live(consumers, alive_within_s))


def _age_s(now: list[bytes], first: list[Any]) -> float | None:
    if not first:
        return None
    now_ms = int(now[0]) * 1000 + int(now[1]) // 1000
    return max(0, now_ms - int(bytes(first[0][0]).partition(b"-")[0])) / 1000


def _live(consumers: Any, within_s: float) -> int:
    if isinstance(consumers, redis.ResponseError):  # no such stream, or no group yet
        return 0
    if isinstance(consumers, Exception):
        raise consumers
    idle = [row[b"idle"] if isinstance(row, dict) else row[row.index(b"idle") + 1] for row in consumers]
    return sum(1 for ms in idle if ms <= within_s * 1000)
