"""What has been written since to streams that somebody watches: one pipeline for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowengine.engine.ports import Cursor, Seen
from flowengine.execution.history.live import Entry, merged
from flowengine.execution.history.places import NOW, Stream, end_of
from flowengine.execution.status import is_over
from flowengine.store.codec import CONTROL_FIELDS, parse_control
from flowengine.store.connection.clock import milliseconds
from flowengine.store.connection.packing import Command
from flowengine.store.state import RedisState

ENTRIES: Final = 50
"""So many entries of each stream at once: one of lines may have 32 KiB. The first may be read again."""


class LiveReads:
    """Implements `flowengine.engine.ports.WatchingStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state

    def look(self, cursors: Sequence[Cursor]) -> list[Seen]:
        """What has happened behind each place: one round trip. The time comes first, then each status before
        its streams: what has ended by then has told all."""
        commands: list[Command] = [("TIME",)]
        for cursor in cursors:
            if cursor.asks:
                control = self._state.keys.control(cursor.execution)
                commands.append(("HMGET", control, *CONTROL_FIELDS))
            commands.append(self._read(cursor))
        time, *replies = self._state.sessions.retrying_read(commands)
        now = milliseconds(time)
        return [self._seen(cursor, replies, now) for cursor in cursors]

    def _read(self, cursor: Cursor) -> Command:
        streams = self._streams(cursor)
        names = [name for name, _ in streams]
        return ("XREAD", "COUNT", ENTRIES, "STREAMS", *names, *[cursor.after.entry_before for _ in names])

    def _streams(self, cursor: Cursor) -> list[tuple[str, Stream]]:
        names = self._state.keys
        if not cursor.execution:
            return [(names.changes, "events")]
        found: list[tuple[str, Stream]] = [
            (names.events(cursor.execution), "events"),
            (names.live(cursor.execution), "live"),
        ]
        return [*found, (names.lines(cursor.execution), "logs")] if cursor.lines else found

    def _seen(self, cursor: Cursor, replies: list[Any], now: int) -> Seen:
        control = parse_control(replies.pop(0)) if cursor.asks else None
        kinds: dict[bytes, Stream] = {name.encode(): stream for name, stream in self._streams(cursor)}
        found: dict[Stream, list[Entry]] = {
            kinds[key]: [(entry, tuple(fields[1::2])) for entry, fields in entries]
            for key, entries in replies.pop(0) or ()
        }
        after = end_of(now - 1) if cursor.after == NOW else cursor.after
        told = merged(found, after, now, ENTRIES, changes=not cursor.execution)
        over = cursor.asks and (control is None or is_over(control.status))
        return Seen(
            messages=told.messages,
            after=told.end,
            more=told.more,
            ended=over and not told.more and not told.held,
            is_there=not cursor.asks or control is not None,
        )
