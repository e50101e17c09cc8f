"""Takes what has expired out of the indexes, in bounded steps. What is there stays, whatever its age.

An execution whose control is gone is gone for good: nothing makes it again. So nothing is WATCHed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import redis

from flowengine.execution.status import ExecutionStatus
from flowengine.store.connection.packing import Command
from flowengine.store.keys import is_execution_id
from flowengine.store.lists.listing_entries import LISTS, NARROW_LISTS, id_in, reading_all, stored_entries
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
        removed = self._remove_ended(list(statuses), before)
        self._walk((self._keys.list_by, *map(self._keys.listing, _ALL_LISTS)))
        return removed

    def _remove_ended(self, statuses: Sequence[ExecutionStatus], before: int) -> int:
        """By the indexes of statuses, whose scores are times: a page of each, until none has more."""
        removed, looked = 0, 0
        skipped = {status: self._stay.get(status, 0) for status in statuses}
        more = list(statuses)
        while more and looked < AT_MOST:
            pages = [
                (
                    "ZRANGE",
                    self._keys.index(status),
                    "-inf",
                    before,
                    "BYSCORE",
                    "LIMIT",
                    skipped[status],
                    AT_ONCE,
                )
                for status in more
            ]
            found = self._read([self._keys.index(status) for status in more], pages)
            gone = set(self._gone([member for page in found for member in page]))
            for status, page in zip(more, found, strict=True):
                left = [member for member in page if member in gone]
                if left:
                    self._forget(status, left)
                removed += len(left)
                skipped[status] = skipped[status] + len(page) - len(left) if len(page) == AT_ONCE else 0
            looked += AT_ONCE
            more = [status for status, page in zip(more, found, strict=True) if len(page) == AT_ONCE]
        self._stay.update(skipped)
        return removed

    def _forget(self, status: ExecutionStatus, gone: Sequence[bytes]) -> None:
        """Remove all entries of executions that are gone, by what each was found by."""
        ids = [member.decode() for member in gone if is_execution_id(member, self._keys.partition)]
        commands: list[Command] = [("ZREM", self._keys.index(status), *gone)]
        if ids:
            listed = self._state.sessions.retrying_read_each(
                [reading_all(self._keys.list_by, each) for each in ids]
            )
            commands += [("ZREM", self._keys.listing(each), *ids) for each in _ALL_LISTS]
            entries = [
                entry for each, data in zip(ids, listed, strict=True) for entry in stored_entries(each, data)
            ]
            if entries:
                commands.append(("ZREM", self._keys.list_by, *entries))
            # Where an earlier version has stored it, nothing lets it expire.
            commands.append(("UNLINK", *map(self._keys.listed, ids)))
        self._state.sessions.retrying_write(commands)

    def _walk(self, lists: Sequence[str]) -> None:
        """Remove entries that were left behind: their execution went, and what it was found by, unseen."""
        pages = [("ZRANGE", key, self._low(key), "+", "BYLEX", "LIMIT", 0, WALKED) for key in lists]
        found = self._read(lists, pages)
        for key, members in zip(lists, found, strict=True):
            self._reached.pop(key, None)
            if len(members) == WALKED:
                self._reached[key] = members[-1]
        gone = set(self._gone(list({id_in(member) for members in found for member in members})))
        left = {
            key: [member for member in members if id_in(member) in gone]
            for key, members in zip(lists, found, strict=True)
        }
        commands: list[Command] = [("ZREM", key, *members) for key, members in left.items() if members]
        if commands:
            self._state.sessions.retrying_write(commands)

    def _low(self, key: str) -> str | bytes:
        after = self._reached.get(key)
        return "-" if after is None else b"(" + after

    def _gone(self, members: Sequence[bytes]) -> list[bytes]:
        """Those that are no executions, or are there no more."""
        names = [
            self._keys.control(member.decode()) if is_execution_id(member, self._keys.partition) else ""
            for member in members
        ]
        asked = [("EXISTS", name) for name in names if name]
        there = iter(self._state.sessions.retrying_read(asked) if asked else ())
        return [member for member, name in zip(members, names, strict=True) if not name or not next(there)]

    def _read(self, keys: Sequence[str], commands: Sequence[Command]) -> list[list[Any]]:
        """What each key's command gives; nothing of a key that cannot be read."""
        found: list[list[Any]] = []
        for key, reply in zip(keys, self._state.sessions.retrying_read_each(commands), strict=True):
            if isinstance(reply, redis.ResponseError):
                self._pass_over(key, reply)
            found.append([] if isinstance(reply, redis.ResponseError) else list(reply))
        return found
