"""Whether nodes go to a line beside their queue, or into the queue itself: those of async handlers, those of
executions of high or low priority, and the crowd of those that one execution has sent at once.

Versions before these lines read the queue only. So a line is used unless workers serve the queue of which
none serves the line. A worker enters the lines before the queue: it is never seen in the queue alone. Who
decides goes by what the server said up to `every_s` seconds ago. What a worker that left meanwhile can no
longer read is found by the sweep, or by the next worker that reads the line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from flowengine.errors import StoreUnavailableError
from flowengine.queues import GROUP, async_line, crowd_line, high_line, low_line
from flowengine.store.connection.sessions import Session, Sessions
from flowengine.store.keys import Keys
from flowengine.store.task_states import ALIVE_MS, alive
from flowengine.workflow.priority import NORMAL, Priority

EVERY_S: Final = 2.0


class LinesBeside:
    """What one process knows of the lines. Any thread may ask; it asks the server on a connection of its own.

    That of the asking thread may WATCH something.
    """

    def __init__(self, sessions: Sessions, names: Keys, *, every_s: float = EVERY_S) -> None:
        self._sessions = sessions
        self._keys = names
        self._every_s = every_s
        self._asking = threading.Lock()
        self._session: Session | None = None
        self._known: dict[str, tuple[float, bool]] = {}

    def line_for(self, queue: str, *, waits: bool, crowd: bool, priority: Priority = NORMAL) -> str:
        """Where a node goes. `waits`: its handler is async. `crowd`: it steps back behind others' nodes.
        `priority`: that of its execution; any but the normal one has a line of its own, and no crowd."""
        line = async_line(queue) if waits and self._is_served(async_line(queue), queue) else queue
        if priority != NORMAL:
            beside = high_line(line) if priority == "high" else low_line(line)
            if self._is_served(beside, line):
                return beside
        return crowd_line(line) if crowd and self._is_served(crowd_line(line), line) else line

    def may_hold(
        self, queue: str, *, waits: bool, crowd: bool, priority: Priority = NORMAL
    ) -> tuple[str, ...]:
        """The streams in which the task of such a node may be: the one that it goes to now comes last."""
        lines = [queue, self.line_for(queue, waits=waits, crowd=False)]
        lines += [self.line_for(queue, waits=waits, crowd=crowd)] if priority != NORMAL else []
        last = self.line_for(queue, waits=waits, crowd=crowd, priority=priority)
        return tuple(dict.fromkeys([*lines, last]))

    def _is_served(self, line: str, queue: str) -> bool:
        """Whether the line beside this queue is in use. Never raises."""
        asked_at, served = self._known.get(line, (0.0, True))
        if asked_at and time.monotonic() - asked_at < self._every_s:
            return served
        # Where another thread asks already, what was known before is good enough, if anything was.
        if not self._asking.acquire(blocking=not asked_at):
            return served
        try:
            served = self._ask(line, queue)
            self._known[line] = (time.monotonic(), served)
        except StoreUnavailableError:
            pass  # the transaction that asks will fail as well
        finally:
            self._asking.release()
        return served

    def _ask(self, line: str, queue: str) -> bool:
        if self._session is None:
            self._session = Session(self._sessions.client.connection_pool.make_connection())
        queue_rows, line_rows = self._session.call_each(
            [
                ("XINFO", "CONSUMERS", self._keys.stream(queue), GROUP),
                ("XINFO", "CONSUMERS", self._keys.stream(line), GROUP),
            ]
        )
        return not _alive(queue_rows) or bool(_alive(line_rows))


def _alive(rows: Any) -> set[bytes]:
    """The processes that serve a stream; none where nobody ever has, which is an error."""
    found: Sequence[Sequence[Any]] = rows if isinstance(rows, list) else []
    return alive(found, within_ms=ALIVE_MS)
