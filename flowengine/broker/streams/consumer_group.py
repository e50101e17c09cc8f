"""Every command that this process sends to its queues' streams, as one consumer of their groups.

Command names are given as bytes where redis-py would otherwise reshape the reply: its callbacks cost
more than the command. Raises redis.RedisError; knows nothing of threads, leases' timing or retries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec
import redis

from flowengine.queues import GROUP, NOBODY, stream_key

RawEntry: TypeAlias = "tuple[bytes, list[bytes]]"
OWNED_LIMIT: Final = 50_000
"""More than one process holds: 10,000 nodes without threads, and what 1000 threads have and fetch ahead."""
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


class Look(msgspec.Struct, frozen=True):
    """What has lapsed among the pending entries looked at, and the last of them; None: there are no more."""

    lapsed: list[Lapsed]
    reached: bytes | None


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
        self._asked_of: dict[tuple[str, ...], tuple[dict[bytes, str], tuple[str | bytes, ...]]] = {}

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

    def read_lines(
        self, lines: tuple[str, ...], count: int, block_ms: int | None
    ) -> dict[str, list[RawEntry]]:
        """Up to `count` entries of each of these lines, never delivered before.

        Waits up to `block_ms` (at least 1) for the first; not at all with None.
        """
        by_key, asked = self._ask_of(lines)
        blocks = () if block_ms is None else (b"BLOCK", block_ms)
        # fmt: off
        reply = self.client.execute_command(
            b"XREADGROUP", b"GROUP", GROUP, self.consumer, b"COUNT", count, *blocks,
            b"STREAMS", *asked,
        )
        # fmt: on
        pairs = reply.items() if isinstance(reply, dict) else reply or ()
        return {by_key[key]: cast("list[RawEntry]", entries) for key, entries in pairs}

    def _ask_of(self, lines: tuple[str, ...]) -> tuple[dict[bytes, str], tuple[str | bytes, ...]]:
        """These lines by their keys, and how to ask for them: the same are read again and again."""
        found = self._asked_of.get(lines)
        if found is None:
            keys = {self.stream(line): line for line in lines}
            by_key = {key.encode(): line for key, line in keys.items()}
            found = self._asked_of[lines] = by_key, (*keys, *[b">" for _ in keys])
        return found

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

    def lapsed(self, queue: str, limit: int, *, after: bytes | None = None) -> Look:
        """A look at `limit` pending entries, oldest first, from the one behind `after` on.

        Not filtered by the server: to find so many that have lapsed, it would walk through all that is
        pending.
        """
        start = b"-" if after is None else b"(" + after
        rows = self.client.execute_command(b"XPENDING", self.stream(queue), GROUP, start, b"+", limit)
        return Look(
            lapsed=[Lapsed(row[0], row[1], row[3]) for row in rows if row[2] >= self.lease_ms],
            reached=rows[-1][0] if len(rows) == limit else None,
        )

    def owned(self, queue: str) -> set[bytes]:
        """The ids that are pending in this consumer's name, held in memory or not."""
        rows = self.client.execute_command(
            b"XPENDING", self.stream(queue), GROUP, b"-", b"+", OWNED_LIMIT, self.consumer
        )
        return {row[0] for row in rows}

    def claim(self, queue: str, ids: Sequence[bytes], *, counted_as: int | None = None) -> list[RawEntry]:
        """Take over those of `ids` that are still lapsed; counts one more delivery of each, or so many."""
        counted = () if counted_as is None else (b"RETRYCOUNT", counted_as)
        reply = self.client.execute_command(
            b"XCLAIM", self.stream(queue), GROUP, self.consumer, self.lease_ms, *ids, *counted
        )
        # Entries deleted meanwhile are left out, or null on older servers.
        return [entry for entry in reply if entry is not None]

    def renew(self, queue: str, ids: Collection[bytes]) -> None:
        """Begin the lease of `ids` anew, in this consumer's name; counts no delivery."""
        self.client.execute_command(b"XCLAIM", self.stream(queue), GROUP, self.consumer, 0, *ids, b"JUSTID")

    def hand_back(self, queue: str, counts: Mapping[bytes, int], *, lapses_in_ms: int) -> int:
        """Let the leases of these ids run out in `lapses_in_ms`, with these delivery counts.

        Skips what another consumer has taken over. Returns how many were handed back.
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
        return sum(map(len, by_count.values()))

    def leave(self, line: str) -> None:
        """Leave the group of a line. What is still pending here is nobody's: its lease is over."""
        key = self.stream(line)
        rows = self.client.execute_command(b"XPENDING", key, GROUP, b"-", b"+", OWNED_LIMIT, self.consumer)
        # Others may be about to take over what has lapsed: then it is theirs, and idle no more.
        half = self.lease_ms // 2
        for least_ms, chosen in (
            (half, [row for row in rows if row[2] >= half]),
            (0, [row for row in rows if row[2] < half]),
        ):
            self._give_up(key, chosen, least_ms)
        self.remove_consumer(line, self.consumer)

    def remove_consumer(self, line: str, consumer: bytes) -> None:
        """Remove a consumer that holds nothing. If it holds entries after all, they are nobody's.

        DELCONSUMER drops a consumer's pending entries, so the list of them is read in the same MULTI. Who
        dies before they are pending again leaves strays.
        """
        key = self.stream(line)
        pipe = self.client.pipeline(transaction=True)
        pipe.execute_command(b"XPENDING", key, GROUP, b"-", b"+", OWNED_LIMIT, consumer)
        pipe.execute_command(b"XGROUP", b"DELCONSUMER", key, GROUP, consumer)
        self._give_up(key, pipe.execute()[0], self.lease_ms, b"FORCE")

    def adopt_strays(self, line: str, limit: int) -> list[bytes]:
        """Make nobody's up to `limit` of the oldest entries, if they were delivered and are pending nowhere.

        Nothing else would deliver them again. There are none, unless a process died while it removed a
        consumer that had just come back: to acknowledge an entry is to remove it, in one transaction.
        """
        key, name = self.stream(line), GROUP.encode()
        groups = [_as_map(row) for row in self.client.execute_command(b"XINFO", b"GROUPS", key)]
        last = next((row["last-delivered-id"] for row in groups if row["name"] == name), b"0-0")
        strays: list[bytes] = []
        start = b"-"
        while len(strays) < limit:
            # One at a time: each may carry a result of a megabyte.
            oldest = self.client.execute_command(b"XRANGE", key, start, last, b"COUNT", 1)
            if not oldest:
                break
            entry = oldest[0][0]
            if self.client.execute_command(b"XPENDING", key, GROUP, entry, entry, 1):
                break
            # If it was acknowledged meanwhile, it is gone from the stream and left alone.
            self._give_up(key, [(entry, b"", 0, 1)], self.lease_ms, b"FORCE")
            strays.append(entry)
            start = b"(" + entry
        return strays

    def _give_up(self, key: str, rows: Sequence[Any], least_ms: int, *options: bytes) -> None:
        """Let rows of XPENDING be nobody's, with their counts, unless they are idle for less."""
        by_count: dict[int, list[bytes]] = {}
        for row in rows:
            by_count.setdefault(row[3], []).append(row[0])
        for count, ids in by_count.items():
            # fmt: off
            self.client.execute_command(
                b"XCLAIM", key, GROUP, NOBODY, least_ms, *ids,
                b"IDLE", self.lease_ms, b"RETRYCOUNT", count, *options, b"JUSTID",
            )
            # fmt: on

    def consumers(self, queue: str) -> list[dict[str, Any]]:
        """The group's consumers, as Redis lists them: name, pending, idle (ms)."""
        rows = self.client.execute_command(b"XINFO", b"CONSUMERS", self.stream(queue), GROUP)
        return [_as_map(row) for row in rows]

    def holders(self, line: str, consumers: Sequence[bytes]) -> list[bytes]:
        """Those of `consumers` that have something pending."""
        pipe = self.client.pipeline(transaction=False)
        for consumer in consumers:
            pipe.execute_command(b"XPENDING", self.stream(line), GROUP, b"-", b"+", 1, consumer)
        return [consumer for consumer, rows in zip(consumers, pipe.execute(), strict=True) if rows]

    def takes_turn(self, key: str, every_ms: int) -> bool:
        """Whether it is this process's turn at what one process does each `every_ms`."""
        reply = self.client.execute_command(b"SET", key, b"1", b"NX", b"PX", every_ms)
        return reply is not None

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
