"""Every queue and every line beside one: what waits, what is worked on, and who serves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flowengine.execution.views.operations import HandlerLineView, QueueLoadView, QueuesView
from flowengine.queues import dead_letter_key, handler_line, lines_beside
from flowengine.store.connection.clock import milliseconds
from flowengine.store.operations.queue_backlog import look_at_stream
from flowengine.store.state import RedisState

LINES_SHOWN: Final = 50
"""So many lines beside a queue are shown: those whose handlers nobody has known for longest."""


class Queues:
    """The queues of a stack."""

    def __init__(self, state: RedisState, queues: Sequence[str]) -> None:
        self._state = state
        self._queues = queues

    def __call__(self) -> QueuesView:
        """As of now. Raises StoreUnavailableError."""
        (time,) = self._state.sessions.retrying_read([("TIME",)])
        now = milliseconds(time)
        return QueuesView(items=tuple(self._queue(queue, now) for queue in self._queues))

    def _queue(self, queue: str, now: int) -> QueueLoadView:
        names = self._state.keys
        found = look_at_stream(self._state, names.stream(queue))
        for line in lines_beside(queue):
            found = found.with_line(look_at_stream(self._state, names.stream(line)))
        listed, dead, later = self._state.sessions.retrying_read(
            [
                ("ZRANGE", names.handlers(queue), 0, LINES_SHOWN - 1, "WITHSCORES"),
                ("XLEN", dead_letter_key(queue, names.partition)),
                ("XLEN", names.later(queue)),
            ]
        )
        lines = zip(listed[::2], listed[1::2], strict=True)
        return QueueLoadView(
            queue=queue,
            length=found.length,
            in_flight=found.in_flight,
            oldest_age_s=found.oldest_age_s(now),
            consumers=found.consumers,
            dead_letters=dead,
            put_off=later,
            handlers=tuple(self._line(queue, *line, now) for line in lines),
        )

    def _line(self, queue: str, handler: bytes, known_at: bytes, now: int) -> HandlerLineView:
        name = handler.decode(errors="replace")
        found = look_at_stream(self._state, self._state.keys.stream(handler_line(queue, name)))
        return HandlerLineView(
            handler=name,
            length=found.length,
            in_flight=found.in_flight,
            oldest_age_s=found.oldest_age_s(now),
            known=now - float(known_at) <= self._state.lease_ms and found.consumers > 0,
        )
