"""What waits in a queue and who serves it, for those who look at the service.

A message that a live process holds and works on is no backlog, however old it is: what has been delivered
counts only once its lease has lapsed or its process is gone. A look costs the same whatever is stored: of
what is pending, only the oldest is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import redis

from flowengine.errors import StoreUnavailableError
from flowengine.execution.views.executions import QueueView
from flowengine.queues import GROUP, handler_line, lines_beside
from flowengine.store.state import RedisState
from flowengine.store.task_states import alive

SILENT_MS: Final = 4_000
"""A consumer that has been silent for longer serves nobody now: it gives a sign of life each second."""

PENDING_LOOKED_AT: Final = 100
LINES_LOOKED_AT: Final = 10


class StreamLook(msgspec.Struct, frozen=True):
    """A queue, or a line beside one. `in_flight`: how many messages were delivered and not acknowledged.
    `oldest` is when the oldest message was sent that nobody works on, in milliseconds since the epoch."""

    length: int
    in_flight: int
    oldest: int | None
    consumers: int

    def with_line(self, line: StreamLook) -> StreamLook:
        """A queue together with the line of async handlers beside it, which the same processes serve."""
        times = [at for at in (self.oldest, line.oldest) if at is not None]
        return StreamLook(
            self.length + line.length,
            self.in_flight + line.in_flight,
            min(times, default=None),
            self.consumers,
        )

    def oldest_age_s(self, now: int) -> float | None:
        """Its age in seconds."""
        return None if self.oldest is None else max(0, now - self.oldest) / 1000


NOTHING_KNOWN: Final = QueueView(length=0, oldest_age_s=None, consumers=0)


def look_at_queue(state: RedisState, queue: str, now: int) -> QueueView:
    """The queue at `now` (milliseconds), with the lines of tasks beside it. Never raises."""
    try:
        (handlers,) = state.sessions.current().call(
            [("ZRANGE", state.keys.handlers(queue), 0, LINES_LOOKED_AT - 1)]
        )
        lines = [handler_line(queue, handler.decode(errors="replace")) for handler in handlers]
        lines += lines_beside(queue)
        own, *beside = [look_at_stream(state, state.keys.stream(line)) for line in (queue, *lines)]
    except (StoreUnavailableError, redis.RedisError):
        return NOTHING_KNOWN
    streams = (own, *beside)
    oldest = min((found.oldest for found in streams if found.oldest is not None), default=None)
    return QueueView(
        length=sum(found.length for found in streams),
        oldest_age_s=None if oldest is None else max(0, now - oldest) / 1000,
        consumers=own.consumers,
    )


def look_at_stream(state: RedisState, key: str) -> StreamLook:
    """The stream of a queue, or of a line beside one. Raises StoreUnavailableError, redis.ResponseError."""
    session = state.sessions.current()
    try:
        length, groups, consumers, pending = session.call(
            [
                ("XLEN", key),
                ("XINFO", "GROUPS", key),
                ("XINFO", "CONSUMERS", key, GROUP),
                ("XPENDING", key, GROUP, "-", "+", PENDING_LOOKED_AT),
            ]
        )
    except redis.ResponseError:
        # No process ever served it: there is no group yet, or not even a stream.
        length, first = session.call([("XLEN", key), ("XRANGE", key, "-", "+", "COUNT", 1)])
        return StreamLook(length, 0, _oldest(first), 0)
    serving = alive(consumers, within_ms=SILENT_MS)
    left = [row for row in pending if row[1] not in serving or int(row[2]) >= state.lease_ms]
    last, in_flight = _delivered(groups)
    (waiting,) = session.call([("XRANGE", key, b"(" + last, "+", "COUNT", 1)])
    return StreamLook(length, in_flight, _oldest([*left[:1], *waiting]), len(serving))


def _delivered(groups: Sequence[Sequence[Any]]) -> tuple[bytes, int]:
    """The last entry that was delivered, and how many are delivered and not acknowledged."""
    for row in groups:
        fields = dict(zip(row[::2], row[1::2], strict=True))
        if fields[b"name"] == GROUP.encode():
            return bytes(fields[b"last-delivered-id"]), int(fields[b"pending"])
    return b"0-0", 0


def _oldest(entries: Sequence[Sequence[Any]]) -> int | None:
    return min((int(entry[0].split(b"-")[0]) for entry in entries), default=None)
