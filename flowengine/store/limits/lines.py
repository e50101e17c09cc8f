"""The lines of limits as they stand in Redis. Nobody WATCHes one: what is read may be old at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Sessions
from flowengine.store.keys import Keys

FIRST_READ: Final = 64
"""So many members are read with the limit itself."""
SEARCHED: Final = 10_000
"""Among so many members the places of many are looked for: Redis compares one after the other."""


class RedisLines:
    """Implements `flowengine.engine.limits.line_step.Lines`."""

    def __init__(self, sessions: Sessions, names: Keys) -> None:
        self._sessions = sessions
        self._keys = names

    def length(self, line: str) -> int:
        """How many stand in it."""
        return int(self._sessions.retrying_read([("LLEN", self._keys.line(line))])[0])

    def place(self, line: str, member: str) -> tuple[int | None, int]:
        """The place of a member, 1 is the first, None: it does not stand there; and how many may run."""
        found, limit = self._sessions.retrying_read(
            [("LPOS", self._keys.line(line), member), self._limit(line)]
        )
        return None if found is None else int(found) + 1, int(limit or 0)

    def places(self, standing: Sequence[tuple[str, str]]) -> list[int | None]:
        """The places of members, each given as its line and itself, 1 is the first; None: it does not stand
        among the first SEARCHED. One round trip for all of them."""
        found = self._sessions.retrying_read(
            [("LPOS", self._keys.line(line), member, "MAXLEN", SEARCHED) for line, member in standing]
        )
        return [None if place is None else int(place) + 1 for place in found]

    def front(self, line: str) -> list[str]:
        """Those that may run, the first first."""
        members, found = self._sessions.retrying_read(
            [("LRANGE", self._keys.line(line), 0, FIRST_READ - 1), self._limit(line)]
        )
        limit = int(found or 0)
        if limit > FIRST_READ and len(members) == FIRST_READ:
            (members,) = self._sessions.retrying_read([("LRANGE", self._keys.line(line), 0, limit - 1)])
        return _decoded(members[:limit])

    def first(self, line: str, count: int) -> list[str]:
        """So many members, the first first."""
        (members,) = self._sessions.retrying_read([("LRANGE", self._keys.line(line), 0, count - 1)])
        return _decoded(members)

    def before(self, line: str, member: str, most: int) -> tuple[list[str], int]:
        """Those that stand before a member, so many at most, the first first; and how many may run."""
        members, limit = self._sessions.retrying_read(
            [("LRANGE", self._keys.line(line), 0, most - 1), self._limit(line)]
        )
        names = _decoded(members)
        return names[: names.index(member)] if member in names else [], int(limit or 0)

    def page(self, after: str, count: int) -> list[str]:
        """The names of so many lines in which somebody stands, those behind this one."""
        low = f"({after}" if after else "-"
        (found,) = self._sessions.retrying_read(
            [("ZRANGE", self._keys.line_index, low, "+", "BYLEX", "LIMIT", 0, count)]
        )
        return _decoded(found)

    def shown(self, lines: Sequence[str], most: int) -> list[tuple[int, int, list[str], list[str]]]:
        """Of each line how many stand there, how many may run, and the first of those that may and of those
        that wait, so many at most. Two round trips for all of them."""
        if not lines:
            return []
        keys = [self._keys.line(line) for line in lines]
        *lengths, limits = self._sessions.retrying_read(
            [*(("LLEN", key) for key in keys), ("HMGET", self._keys.line_limits, *lines)]
        )
        numbers = [int(limit or 0) for limit in limits]
        reads: list[Command] = []
        for key, limit in zip(keys, numbers, strict=True):
            reads.append(("LRANGE", key, 0, min(limit, most) - 1))
            reads.append(("LRANGE", key, limit, limit + most - 1))
        found = self._sessions.retrying_read(reads)
        rows = zip(lengths, numbers, found[::2], found[1::2], strict=True)
        return [
            (int(length), limit, _decoded(holders) if limit else [], _decoded(waiters))
            for length, limit, holders, waiters in rows
        ]

    def forget(self, line: str) -> bool:
        """Take a line out of the index in which nobody stands; False if somebody has joined meanwhile."""
        (length,) = self._sessions.retrying_watch([self._keys.line(line)], [("LLEN", self._keys.line(line))])
        session = self._sessions.here()
        if length:
            session.unwatch()
            return False
        gone: list[Command] = [("ZREM", self._keys.line_index, line), ("HDEL", self._keys.line_limits, line)]
        return session.transact(gone, session.epoch) is not None

    def _limit(self, line: str) -> Command:
        return ("HGET", self._keys.line_limits, line)


def _decoded(members: Sequence[bytes]) -> list[str]:
    return [member.decode(errors="replace") for member in members]
