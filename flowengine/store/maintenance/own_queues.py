"""The queues that executions have of their own, in Redis: who still serves them, and what is left in them.

What is moved to the common queues is moved a page at a time: into the one and out of the other in one
transaction, which WATCHes where it comes from. So of two processes one moves each message, and a process that
dies in between has moved some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from flowengine.errors import ConflictError
from flowengine.execution.status import is_over
from flowengine.queues import MOVED_KEPT_S, handler_line, is_async_line, lines_beside, owned
from flowengine.store import keys
from flowengine.store.connection.clock import milliseconds
from flowengine.store.connection.packing import Command
from flowengine.store.maintenance.timer_store import PARSERS
from flowengine.store.state import RedisState

log = structlog.stdlib.get_logger()

PAGE: Final = 20
"""How many messages are moved at once: each may carry a result of a megabyte."""
TIMERS_AT_ONCE: Final = 100
TRIES: Final = 50


class RedisOwnQueues:
    """Implements `flowengine.engine.maintenance.lapsed_runs.OwnQueueStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._sessions = state.sessions
        self._common = keys.of(state.keys.partition)
        self.set_aside = 0
        """How many members of `fe:own` nobody could read."""

    def claim(self, queues: Iterable[str]) -> None:
        """Give these queues to this state's owner, for a lease. Raises StoreUnavailableError."""
        until = self._state.now() + self._state.lease_ms
        members = [part for queue in queues for part in (until, owned(queue, self._state.keys.owner))]
        self._sessions.retrying_write([("ZADD", self._common.own_queues, *members)])

    def lapsed(self) -> list[str]:
        """The executions that have queues of their own, the leases of all of which have lapsed."""
        now, rows = self._read()
        last: dict[str, float] = {}
        for _, owner, until in rows:
            last[owner] = max(last.get(owner, until), until)
        return [owner for owner, until in last.items() if until < now]

    def hand_over(self, owner: str) -> int:
        """Move to the common queues what is left of one, and forget its own; returns how many messages.

        Of one that has ended, nothing is wanted any more. Raises ConflictError while somebody goes on writing
        to them, StoreUnavailableError.
        """
        queues = [queue for queue, of, _ in self._read()[1] if of == owner]
        if not queues:
            return 0
        own = keys.of(self._common.partition, owner)
        lines = {queue: self._lines(own, queue) for queue in queues}
        record = self._state.read_execution(owner)
        moved = 0
        if record is not None and not is_over(record.status):
            for queue in queues:
                moved += sum(self._move(stream, queue) for stream in lines[queue])
            for kind in PARSERS:
                self._move_scored(own.timers(kind), self._common.timers(kind))
            self._move_scored(own.nested, self._common.nested)
            self._forget(own, lines, unless_left=True)
        else:
            self._forget(own, lines, unless_left=False)
        return moved

    def _read(self) -> tuple[int, list[tuple[str, str, float]]]:
        """The time, and the queues with their owners and the ends of their leases.

        A member that nobody can read is removed alone: it holds up no other.
        """
        time, found = self._sessions.retrying_read(
            [("TIME",), ("ZRANGE", self._common.own_queues, 0, -1, "WITHSCORES")]
        )
        rows, odd = [], []
        for member, until in zip(found[::2], found[1::2], strict=True):
            parsed = keys.parse_own_queue(member, self._common.partition)
            if parsed is None:
                odd.append(member)
            else:
                rows.append((*parsed, float(until)))
        if odd:
            self._sessions.retrying_write([("ZREM", self._common.own_queues, *odd)])
            self.set_aside += len(odd)
            shown = [member[:100].decode(errors="replace") for member in odd[:3]]
            log.error("own_queues.set_aside", count=len(odd), members=shown)
        return milliseconds(time), rows

    def _lines(self, own: keys.Keys, queue: str) -> list[str]:
        """The streams in which a queue's messages may be."""
        (handlers,) = self._sessions.retrying_read([("ZRANGE", own.handlers(queue), 0, -1)])
        beside = [own.stream(handler_line(queue, name.decode(errors="replace"))) for name in handlers]
        if not is_async_line(queue):  # a worker that has read it has claimed it; perhaps none has
            beside += map(own.stream, lines_beside(queue))
        return [own.stream(queue), own.later(queue), *beside]

    def _move(self, stream: str, queue: str) -> int:
        """Empty a stream into a common queue; returns how many messages were moved."""

        def moving(found: list[Any]) -> list[Command]:
            sent: list[Command] = [("XADD", self._common.stream(queue), "*", *fields) for _, fields in found]
            removed = ("XDEL", stream, *[entry for entry, _ in found])
            mark = ("SET", self._common.moved(queue), self._state.now(), "EX", MOVED_KEPT_S)
            return [*sent, removed, mark]

        return self._emptied(stream, ("XRANGE", stream, "-", "+", "COUNT", PAGE), moving)

    def _move_scored(self, source: str, target: str) -> None:
        def moving(found: list[Any]) -> list[Command]:
            armed = [part for pair in zip(found[1::2], found[::2], strict=True) for part in pair]
            return [("ZADD", target, *armed), ("ZREM", source, *found[::2])]

        self._emptied(source, ("ZRANGE", source, 0, TIMERS_AT_ONCE - 1, "WITHSCORES"), moving)

    def _emptied(self, source: str, read: Command, moving: Callable[[list[Any]], list[Command]]) -> int:
        """Carry out what `moving` makes of each page, until nothing is left; returns how much there was."""
        moved, tries = 0, TRIES
        while tries:
            (found,) = self._sessions.retrying_watch([source], [read])
            session = self._sessions.here()
            if not found:
                session.unwatch()
                return moved
            if session.transact(moving(found), session.epoch) is None:
                tries -= 1
            else:
                moved += len(found)
        raise ConflictError(f"{source} changes faster than it can be emptied")

    def _forget(self, own: keys.Keys, lines: dict[str, list[str]], *, unless_left: bool) -> None:
        """Delete an execution's own keys. `unless_left`: not if a message has come meanwhile."""
        streams = [stream for found in lines.values() for stream in found]
        lengths: list[Any] = self._sessions.retrying_watch(streams, [("XLEN", stream) for stream in streams])
        session = self._sessions.here()
        if unless_left and any(lengths):
            session.unwatch()
            return
        names = [*streams, *map(own.handlers, lines), *map(own.timers, PARSERS), own.sweep, own.nested]
        members = [owned(queue, own.owner) for queue in lines]
        session.transact([("DEL", *names), ("ZREM", self._common.own_queues, *members)], session.epoch)
