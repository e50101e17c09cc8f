"""Every command that this process sends to its queues' streams, as one consumer of their groups.

Command names are given as bytes where redis-py would otherwise reshape the reply: its callbacks cost
more than the command. Raises redis.RedisError; knows nothing of threads, leases' timing or retries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec
import redis

from flowengine.queues import GROUP, stream_key

RawEntry: TypeAlias = "tuple[bytes, list[bytes]]"
OWNED_LIMIT = 10_000
_AFTER_ALL: Final = b"18446744073709551615-0"
_NOTES_EMPTY_READS: Final = (7, 2)


class Server(msgspec.Struct, frozen=True):
    """What a consumer needs to know of its server. The defaults are for a server that does not tell."""

    uptime_s: int = 86400
    """How long ago it started."""

    notes_empty_reads: bool = False
    """Whether a read that finds nothing is a sign that the consumer lives: from Redis 7.2 on."""


class Lapsed(msgspec.Struct, frozen=True):
    """A pending entry whose lease has run out. `deliveries` counts those that have been made."""

    id: bytes
    consumer: bytes
    deliveries: int


class ConsumerGroup:
    """The group `fe` of any queue, seen by the consumer called `consumer`.

    A line beside a queue is a queue here as well (`queues.handler_line`). With an `owner`, the queues are
    that execution's own.
    """

    def __init__(
        self, client: redis.Redis, consumer: str, *, lease_ms: int, partition: str = "", owner: str = ""
    ) -> None:
        self.client = client
        self.partition = partition
        self.owner = owner
        self.consumer = consumer.encode()
        self.lease_ms = lease_ms

    def stream(self, queue: str) -> str:
        """The key of a queue."""
        return stream_key(queue, self.partition, self.owner)

    def create(self, queue: str) -> None:
        """Make the stream and its group where they do not exist; the group begins at the first entry."""
        try:
            self.client.execute_command(b"XGROUP", b"CREATE", self.stream(queue), GROUP, b"0", b"MKSTREAM")
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def enter(self, line: str) -> bool:
        """Make the group of a line that has a stream. Returns whether it has one."""
        try:
            self.client.execute_command(b"XGROUP", b"CREATE", self.stream(line), GROUP, b"0")
        except redis.ResponseError as error:
            if "requires the key to exist" in str(error):
                return False
            if not str(error).startswith("BUSYGROUP"):
                raise
        return True

    def read(self, queue: str, count: int, block_ms: int | None) -> list[RawEntry]:
        """Up to `count` entries never delivered before.

        Waits up to `block_ms` (at least 1) for the first; not at all with None.
        """
        blocks = () if block_ms is None else (b"BLOCK", block_ms)
        # fmt: off
        reply = self.client.execute_command(
            b"XREADGROUP", b"GROUP", GROUP, self.consumer, b"COUNT", count, *blocks,
            b"STREAMS", self.stream(queue), b">",
        )
        # fmt: on
        if not reply:
            return []
        # RESP3 gives a map, RESP2 a list of pairs.
        found = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
        return cast("list[RawEntry]", found)

    def sign(self, line: str) -> None:
        """Let the server note that this consumer lives. Makes the consumer if it is not there.

        Reads what is pending in its own name after all that there can be: nothing. Every version notes that;
        before Redis 7.2, a read that finds nothing new is not noted.
        """
        # fmt: off
        self.client.execute_command(
            b"XREADGROUP", b"GROUP", GROUP, self.consumer, b"COUNT", 1,
            b"STREAMS", self.stream(line), _AFTER_ALL,
        )
        # fmt: on

    def lapsed(self, queue: str, limit: int) -> list[Lapsed]:
        """Up to `limit` entries that nobody has renewed for a lease, oldest first."""
        # fmt: off
        rows = self.client.execute_command(
            b"XPENDING", self.stream(queue), GROUP, b"IDLE", self.lease_ms, b"-", b"+", limit
        )
        # fmt: on
        return [Lapsed(row[0], row[1], row[3]) for row in rows]

    def owned(self, queue: str) -> set[bytes]:
        """The ids that are pending in this consumer's name, held in memory or not."""
        rows = self.client.execute_command(
            b"XPENDING", self.stream(queue), GROUP, b"-", b"+", OWNED_LIMIT, self.consumer
        )
        return {row[0] for row in rows}

    def claim(self, queue: str, ids: Sequence[bytes]) -> list[RawEntry]:
        """Take over those of `ids` that are still lapsed; counts one more delivery of each."""
        reply = self.client.execute_command(
            b"XCLAIM", self.stream(queue), GROUP, self.consumer, self.lease_ms, *ids
        )
        # Entries deleted meanwhile are left out, or null on older servers.
        return [entry for entry in reply if entry is not None]

    def renew(self, queue: str, ids: Collection[bytes]) -> None:
        """Begin the lease of `ids` anew, in this consumer's name; counts no delivery."""
        self.client.execute_command(b"XCLAIM", self.stream(queue), GROUP, self.consumer, 0, *ids, b"JUSTID")

    def hand_back(self, queue: str, counts: Mapping[bytes, int], *, lapses_in_ms: int) -> None:
        """Let the leases of these ids run out in `lapses_in_ms`, with these delivery counts.

        Skips what another consumer has taken over.
        """
        idle_ms = max(0, self.lease_ms - lapses_in_ms)
        owned = self.owned(queue)
        by_count: dict[int, list[bytes]] = {}
        for entry_id, count in counts.items():
            if entry_id in owned:
                by_count.setdefault(count, []).append(entry_id)
        for count, ids in by_count.items():
            # fmt: off
            self.client.execute_command(
                b"XCLAIM", self.stream(queue), GROUP, self.consumer, 0, *ids,
                b"IDLE", idle_ms, b"RETRYCOUNT", count, b"JUSTID",
            )
            # fmt: on

    def remove_consumer(self, queue: str, consumer: bytes) -> None:
        """Remove a consumer that holds nothing. If it holds entries after all, they become this consumer's.

        DELCONSUMER drops a consumer's pending entries, so the list of them is read in the same MULTI.
        """
        key = self.stream(queue)
        pipe = self.client.pipeline(transaction=True)
        pipe.execute_command(b"XPENDING", key, GROUP, b"-", b"+", OWNED_LIMIT, consumer)
        pipe.execute_command(b"XGROUP", b"DELCONSUMER", key, GROUP, consumer)
        rows: list[list[Any]] = pipe.execute()[0]
        for row in rows:
            # fmt: off
            self.client.execute_command(
                b"XCLAIM", key, GROUP, self.consumer, 0, row[0],
                b"IDLE", self.lease_ms, b"RETRYCOUNT", row[3], b"FORCE", b"JUSTID",
            )
            # fmt: on

    def consumers(self, queue: str) -> list[dict[str, Any]]:
        """The group's consumers, as Redis lists them: name, pending, idle (ms)."""
        rows = self.client.execute_command(b"XINFO", b"CONSUMERS", self.stream(queue), GROUP)
        return [_as_map(row) for row in rows]

    def scores(self, key: str) -> list[tuple[bytes, float]]:
        """The members of a sorted set with their scores, lowest first."""
        reply = self.client.execute_command(b"ZRANGE", key, 0, -1, b"WITHSCORES")
        # RESP3 gives a list of pairs, RESP2 a flat one.
        pairs = reply if reply and isinstance(reply[0], list) else zip(reply[::2], reply[1::2], strict=True)
        return [(member, float(score)) for member, score in pairs]

    def now_ms(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        seconds, microseconds = self.client.execute_command(b"TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    def connection_id(self) -> int | None:
        """The server's id of this connection; None if it does not tell."""
        try:
            return cast("int", self.client.execute_command(b"CLIENT", b"ID"))
        except redis.ResponseError:
            return None

    def unblock(self, connection_id: int) -> None:
        """End the blocking read of a connection, as if its time were up."""
        self.client.execute_command(b"CLIENT", b"UNBLOCK", connection_id)

    def server(self) -> Server:
        """What the server tells of itself: hosted servers may forbid INFO."""
        try:
            reply = cast("bytes", self.client.execute_command(b"INFO", b"server"))
        except redis.ResponseError:
            return Server()
        told = dict(line.split(b":", 1) for line in reply.splitlines() if b":" in line)
        version = told.get(b"redis_version", b"").split(b".")
        numbers = tuple(int(part) for part in version[:2] if part.isdigit())
        return Server(int(told.get(b"uptime_in_seconds", b"0")), numbers >= _NOTES_EMPTY_READS)


def _as_map(row: Any) -> dict[str, Any]:
    pairs = row.items() if isinstance(row, dict) else zip(row[::2], row[1::2], strict=True)
    return {bytes(name).decode(): value for name, value in pairs}


def is_missing_group(error: redis.RedisError) -> bool:
    """Whether the stream or its group is gone: never made, or lost with the server's data."""
    return isinstance(error, redis.ResponseError) and str(error).startswith(("NOGROUP", "UNBLOCKED"))
