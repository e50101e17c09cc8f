"""Takes what has expired out of the indexes, in bounded steps. What is there stays, whatever its age.

An execution whose control is gone is gone for good: nothing makes it again. So nothing is WATCHed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import redis

from flowengine.execution.status import ExecutionStatus
from flowengine.store.connection.sessions import Command
from flowengine.store.keys import is_execution_id
from flowengine.store.lists.listing_entries import LISTS, NARROW_LISTS, id_in, stored_entries
from flowengine.store.state import RedisState

AT_ONCE: Final = 200
"""So many executions are looked at in one step."""
AT_MOST: Final = 50_000
"""So many in one sweep, of each status in which executions expire."""
WALKED: Final = 1000
"""So many members of each list are looked at in one sweep that nothing says have expired."""

_ALL_LISTS: Final = (*LISTS, *NARROW_LISTS)


class ExpiredEntries:
    """What one process removes. `pass_over` is told of a key that cannot be read, and why."""

    def __init__(self, state: RedisState, pass_over: Callable[[str, object], None]) -> None:
        self._state = state
        self._keys = state.keys
        self._pass_over = pass_over
        self._stay: dict[ExecutionStatus, int] = {}
        """How many of the oldest in an index have not expired though their time was over."""
        self._reached: dict[str, bytes] = {}
        """The member of a list after which the next walk begins."""

    def remove(self, statuses: Iterable[ExecutionStatus], before: int) -> int:
        """Remove those that ended before this time, in milliseconds, and what is left of others; returns how
        many executions were removed."""
        removed = sum(self._remove_ended(status, before) for status in statuses)
        for key in (self._keys.list_by, *map(self._keys.listing, _ALL_LISTS)):
            self._walk(key)
        return removed

    def _remove_ended(self, status: ExecutionStatus, before: int) -> int:
        """By the index of a status, whose scores are times."""
        key = self._keys.index(status)
        removed, looked, skipped = 0, 0, self._stay.get(status, 0)
        while looked < AT_MOST:
            page = ("ZRANGE", key, "-inf", before, "BYSCORE", "LIMIT", skipped, AT_ONCE)
            found = self._read(key, page)
            gone = self._gone(found)
            if gone:
                self._forget(status, gone)
            removed, looked = removed + len(gone), looked + len(found)
            skipped += len(found) - len(gone)
            if len(found) < AT_ONCE:
                skipped = 0
                break
        self._stay[status] = skipped
        return removed

    def _forget(self, status: ExecutionStatus, gone: Sequence[bytes]) -> None:
        """Remove all entries of executions that are gone, by what each was found by."""
        ids = [member.decode() for member in gone if is_execution_id(member, self._keys.partition)]
        commands: list[Command] = [("ZREM", self._keys.index(status), *gone)]
        if ids:
            listed = self._state.sessions.retrying_read_each(
                [("GET", self._keys.listed(each)) for each in ids]
            )
            commands += [("ZREM", self._keys.listing(each), *ids) for each in _ALL_LISTS]
            entries = [
                entry for each, data in zip(ids, listed, strict=True) for entry in stored_entries(each, data)
            ]
            if entries:
                commands.append(("ZREM", self._keys.list_by, *entries))
            commands.append(("DEL", *map(self._keys.listed, ids)))
        self._state.sessions.retrying_write(commands)

    def _walk(self, key: str) -> None:
        """Remove entries that were left behind: their execution went, and what it was found by, unseen."""
        after = self._reached.get(key)
        low = "-" if after is None else b"(" + after
        found = self._read(key, ("ZRANGE", key, low, "+", "BYLEX", "LIMIT", 0, WALKED))
        self._reached.pop(key, None)
        if len(found) == WALKED:
            self._reached[key] = found[-1]
        gone = set(self._gone([id_in(member) for member in found]))
        left = [member for member in found if id_in(member) in gone]
        if left:
            self._state.sessions.retrying_write([("ZREM", key, *left)])

    def _gone(self, members: Sequence[bytes]) -> list[bytes]:
        """Those that are no executions, or are there no more."""
        names = [
            self._keys.control(member.decode()) if is_execution_id(member, self._keys.partition) else ""
            for member in members
        ]
        asked = [("EXISTS", name) for name in names if name]
        there = iter(self._state.sessions.retrying_read(asked) if asked else ())
        return [member for member, name in zip(members, names, strict=True) if not name or not next(there)]

    def _read(self, key: str, command: Command) -> list[Any]:
        (reply,) = self._state.sessions.retrying_read_each([command])
        if isinstance(reply, redis.ResponseError):
            self._pass_over(key, reply)
            return []
        return list(reply)
