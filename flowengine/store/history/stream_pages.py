"""What is read of an execution's past: its streams, a page at a time, and its runs.

Decides nothing about what is shown.
"""

from __future__ import annotations

from typing import Any, Final

import redis

from flowengine.engine.ports import StoredEntry, StoredRuns
from flowengine.execution.history.places import Place
from flowengine.execution.history.runs import Why, decode_ended, decode_why
from flowengine.store import keys
from flowengine.store.state import RedisState

WHY: Final = keys.why_field(0)[:-1].encode()
ENTRIES_AT_ONCE: Final = 64
"""An entry may hold the events of a thousand nodes: more of them at once would take too much memory."""


class RedisHistory:
    """Implements `flowengine.engine.ports.HistoryStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state

    def event_entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        """The next entries of the events, from the one of this place on."""
        return self._entries(self._state.keys.events(execution), begin)

    def events_are_cut(self, execution: str) -> bool:
        """Whether older events have been dropped."""
        command = ("XINFO", "STREAM", self._state.keys.events(execution))
        (reply,) = self._state.sessions.retrying_read_each([command])
        if isinstance(reply, redis.ResponseError):  # there is no such stream
            return False
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        return int(facts[b"entries-added"]) > int(facts[b"length"])

    def line_entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        """The next entries of the nodes' lines, from the one of this place on."""
        return self._entries(self._state.keys.lines(execution), begin)

    def lines_are_cut(self, execution: str, node: str | None) -> bool:
        """Whether lines of a node, or of any, have been dropped."""
        field = keys.LOGGED_CUT if node is None else keys.cut_field(node)
        (found,) = self._state.sessions.retrying_read([("HGET", self._state.keys.logged(execution), field)])
        return found is not None

    def runs(self, execution: str) -> StoredRuns:
        """What is kept of its runs."""
        names = self._state.keys
        reads = [("HGETALL", names.runs(execution)), ("HGET", names.control(execution), keys.STARTED_BY)]
        reply, by = self._state.sessions.retrying_read(reads)
        fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        why = {name[len(WHY) :]: data for name, data in fields.items() if name.startswith(WHY)}
        return StoredRuns(
            {int(name): decode_ended(data) for name, data in fields.items() if not name.startswith(WHY)},
            {1: Why(by=by and by.decode()), **{int(run): decode_why(data) for run, data in why.items()}},
        )

    def _entries(self, key: str, begin: Place) -> list[StoredEntry]:
        command = ("XRANGE", key, begin.entry, "+", "COUNT", ENTRIES_AT_ONCE)
        (reply,) = self._state.sessions.retrying_read([command])
        return entries_of(reply)


def entries_of(reply: Any) -> list[StoredEntry]:
    """The entries that a reply of XRANGE or XREAD lists."""
    return [StoredEntry(entry, tuple(fields[1::2])) for entry, fields in reply]
