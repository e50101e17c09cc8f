"""Writes down what nodes say, within bounds: lines as long as the execution is kept, the rest for an hour.

Lines go along with the report of a node, or twice a second while it runs. A silent node pays nothing. How
much is kept is counted in `logged`: a writer that has passed a bound drops the oldest later, beside its work
(`tidy`). Of several that drop the same entry, the one that really did counts it down.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from flowengine.engine.ports import StoredEntry
from flowengine.execution.history.places import START, Place, place_in
from flowengine.execution.history.spoken import (
    EXECUTION_BYTES,
    LIVE_ENTRIES,
    NODE_BYTES,
    Said,
    decode_lines,
    encode_live,
    encoded_lines,
    entries_of,
    weight_of,
)
from flowengine.store import keys
from flowengine.store.committing.encode_changes import CONTROL_LEAD_S, LIVE_S
from flowengine.store.connection.packing import Command
from flowengine.store.history.stream_pages import ENTRIES_AT_ONCE
from flowengine.store.history.stream_pages import entries_of as entries_in
from flowengine.store.state import RedisState

_FIELD: Final = "l"
AT_LEAST_S: Final = 30 * 86_400
"""A key that nobody gives another life lives so long: the execution it speaks of may be gone already."""

_EXECUTION_SLACK: Final = EXECUTION_BYTES // 16
"""So much more than is needed is dropped of an execution that has said too much: it is done seldom then."""


class OutputWriter:
    """Writes for one process. Thread-safe."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._keys = state.keys
        self._guard = threading.Lock()
        self._crowded: set[tuple[str, str]] = set()
        """Nodes that have more lines than are kept; with an empty name, executions."""
        self._late: dict[str, int] = {}
        """Executions that had ended before their lines were written, and when they expire (0: they have)."""

    @property
    def is_untidy(self) -> bool:
        """Whether there is something for `tidy` to do."""
        return bool(self._crowded or self._late)

    def commands(self, said: Sequence[Said]) -> list[list[Command]]:
        """What writes these down, for each of them. `seen` takes the replies."""
        return [self._commands_of(each) for each in said]

    def seen(self, said: Sequence[Said], written: Sequence[list[Command]], replies: Sequence[Any]) -> None:
        """Learn from the replies what has to be tidied."""
        left = iter(replies)
        for each, commands in zip(said, written, strict=True):
            mine = [next(left) for _ in commands]
            expires_at = int(mine[-1])
            with self._guard:
                if expires_at != -1:
                    self._late[each.execution] = max(0, expires_at)
                if each.lines and int(mine[0]) > NODE_BYTES:
                    self._crowded.add((each.execution, each.node))
                if each.lines and int(mine[1]) > EXECUTION_BYTES:
                    self._crowded.add((each.execution, ""))

    def write(self, said: Sequence[Said]) -> None:
        """Write these down at once, in one transaction."""
        if said:
            written = self.commands(said)
            replies = self._state.sessions.retrying_write([*chain.from_iterable(written)])
            self.seen(said, written, replies)

    def tidy(self) -> None:
        """Drop the oldest of what is too much, and let expire what came too late."""
        with self._guard:
            crowded, self._crowded = self._crowded, set()
            late, self._late = self._late, {}
        for execution, node in crowded:
            if node:
                self._drop_of_node(execution, node)
            else:
                self._drop_of_execution(execution)
        for execution, expires_at in late.items():
            self._let_expire(execution, expires_at)

    def _commands_of(self, said: Said) -> list[Command]:
        lines, logged = self._keys.lines(said.execution), self._keys.logged(said.execution)
        life = AT_LEAST_S + self._state.retention_s
        commands: list[Command] = []
        if said.lines:
            size = sum(map(len, said.lines))
            commands += [
                ("HINCRBY", logged, keys.weight_field(said.node), weight_of(said.lines)),
                ("HINCRBY", logged, keys.LOGGED_BYTES, size),
                *(("XADD", lines, "*", _FIELD, entry) for entry, _ in entries_of(said)),
                ("EXPIRE", lines, life, "NX"),
            ]
        if said.dropped:
            commands += [
                ("HINCRBY", logged, field, said.dropped)
                for field in (keys.cut_field(said.node), keys.LOGGED_CUT)
            ]
        if said.lines or said.dropped:
            commands.append(("EXPIRE", logged, life, "NX"))
        if said.live:
            live = self._keys.live(said.execution)
            commands += [
                ("XADD", live, "MAXLEN", LIVE_ENTRIES, "*", _FIELD, encode_live(each)) for each in said.live
            ]
            commands.append(("EXPIRE", live, life, "NX"))
        return [*commands, ("EXPIRETIME", self._keys.control(said.execution))]

    def _drop_of_node(self, execution: str, node: str) -> None:
        (kept,) = self._read([("HGET", self._keys.logged(execution), keys.weight_field(node))])
        over = int(kept or 0) - NODE_BYTES
        begin = START
        while over > 0 and (entries := self._entries(execution, begin)):
            doomed = []
            for entry in entries:
                if over > 0 and (weight := _weight(entry, node)):
                    doomed.append(entry)
                    over -= weight
            self._drop(execution, doomed)
            begin = _behind(entries)

    def _drop_of_execution(self, execution: str) -> None:
        (kept,) = self._read([("HGET", self._keys.logged(execution), keys.LOGGED_BYTES)])
        over = int(kept or 0) - EXECUTION_BYTES + _EXECUTION_SLACK
        while over > 0 and (entries := self._entries(execution, START)):
            doomed = []
            for entry in entries:
                if over > 0:
                    doomed.append(entry)
                    over -= _size(entry)
            self._drop(execution, doomed)

    def _drop(self, execution: str, doomed: Sequence[StoredEntry]) -> None:
        """Drop entries, and count down those that nobody else has dropped meanwhile."""
        if not doomed:
            return
        lines, logged = self._keys.lines(execution), self._keys.logged(execution)
        gone = self._read([("XDEL", lines, entry.entry) for entry in doomed])
        counts: dict[str, int] = defaultdict(int)
        for entry in (entry for entry, mine in zip(doomed, gone, strict=True) if mine):
            found = decode_lines(entry.values[0])
            encoded = encoded_lines(found)
            counts[keys.weight_field(found.node)] -= weight_of(encoded)
            counts[keys.LOGGED_BYTES] -= sum(map(len, encoded))
            counts[keys.cut_field(found.node)] += len(encoded)
            counts[keys.LOGGED_CUT] += len(encoded)
        if counts:
            self._read([("HINCRBY", logged, field, by) for field, by in counts.items()])

    def _let_expire(self, execution: str, expires_at: int) -> None:
        """As the transaction would have done that ended the execution. `expires_at`: 0 if it is gone."""
        own = (self._keys.lines(execution), self._keys.logged(execution))
        live = self._keys.live(execution)
        if not expires_at:
            self._read([("DEL", *own, live)])
            return
        gone = expires_at + CONTROL_LEAD_S
        soon = self._state.now() // 1000 + LIVE_S
        self._read([*(("EXPIREAT", name, gone) for name in own), ("EXPIREAT", live, min(soon, gone))])

    def _entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        name = self._keys.lines(execution)
        return entries_in(self._read([("XRANGE", name, begin.entry, "+", "COUNT", ENTRIES_AT_ONCE)])[0])

    def _read(self, commands: Sequence[Command]) -> list[Any]:
        return self._state.sessions.here().call(commands)


def _weight(entry: StoredEntry, node: str) -> int:
    """What an entry counts for its node; 0 for another node's."""
    found = decode_lines(entry.values[0])
    return weight_of(encoded_lines(found)) if found.node == node else 0


def _size(entry: StoredEntry) -> int:
    return sum(map(len, encoded_lines(decode_lines(entry.values[0]))))


def _behind(entries: Sequence[StoredEntry]) -> Place:
    last = place_in(entries[-1].entry, 0)
    return last._replace(serial=last.serial + 1)
