"""Connections: how many there may be, and how long one may wait for its caller.

`HttpProtocol` bounds the size of a request's head. It bounds neither the time in which it arrives, nor the
time for which a response lies unread, nor the number of connections. Without such limits a few hundred
half-open connections use up the process's file descriptors, and nobody is answered, not even /health.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from typing import Any, Final

import structlog

from flowengine.api.edge.http_protocol import HttpProtocol

MAX_CONNECTIONS: Final = 1000
RESERVED_FILES: Final = 128
"""File descriptors left for Redis, the log, and connections that are accepted but not yet counted."""

HEAD_S: Final = 10.0
STALLED_S: Final = 30.0
_LOG_EVERY_S: Final = 60.0

log = structlog.stdlib.get_logger()


def connection_limit() -> int:
    """How many connections this process may hold, given how many files it may open."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(files // 2, files - RESERVED_FILES))


class Connections:
    """The open connections of one server. Used from its event loop only.

    `head_s`: how long a request's head may take, from its first byte, or from the connection's start.
    `stalled_s`: how long a response may lie unread.
    """

    def __init__(
        self, limit: int | None = None, *, head_s: float = HEAD_S, stalled_s: float = STALLED_S
    ) -> None:
        self.limit = connection_limit() if limit is None else limit
        self._head_s = head_s
        self._stalled_s = stalled_s
        self._open: set[Connection] = set()
        self._waiting: list[Connection] = []
        self._logged_at = -_LOG_EVERY_S

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self, *args: Any, **kwargs: Any) -> Connection:
        """Makes the protocol of a new connection; uvicorn calls it."""
        return Connection(self, *args, **kwargs)

    def admit(self, newcomer: Connection) -> None:
        """Count it in. Above the limit drop the one that waits longest for its caller, else the newcomer."""
        self._open.add(newcomer)
        if len(self._open) <= self.limit:
            return
        self._log_full(newcomer.loop.time())
        (self._longest_waiting() or self._longest_waiting(search=True) or newcomer).drop()

    def forget(self, connection: Connection) -> None:
        """Take it out of the count: it is closed."""
        self._open.discard(connection)

    def close_overdue(self, now: float) -> None:
        """Close those that have used up their time. Call it about once a second."""
        for connection in list(self._open):
            if connection.is_stalled(now, self._stalled_s):
                connection.drop()
            elif connection.is_head_late(now, self._head_s):
                connection.timeout_keep_alive_handler()

    def _longest_waiting(self, *, search: bool = False) -> Connection | None:
        """The next of those that the last search found: in a flood, a search for each would take seconds."""
        if search:
            waiting = [found for found in self._open if found.waits_for_caller]
            self._waiting = sorted(waiting, key=lambda found: found.drop_order, reverse=True)
        while self._waiting:
            found = self._waiting.pop()
            if found in self._open and found.waits_for_caller:
                return found
        return None

    def _log_full(self, now: float) -> None:
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            log.warning("http.connections_full", limit=self.limit)


class Connection(HttpProtocol):
    """uvicorn's protocol, which also knows since when it has been the caller's turn."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = connections
        self._begun_at = 0.0
        self._unsent = 0
        self._taken_at = 0.0

    @property
    def waits_for_caller(self) -> bool:
        """Whether only the caller can go on: send a request, or the rest of one, or read."""
        return self._is_idle or self._is_body_due or self._has_unsent

    @property
    def drop_order(self) -> tuple[bool, float]:
        """The lowest is dropped first: those without a request before those with one, then the oldest."""
        return (not self._is_idle or self._has_unsent, self._begun_at)

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    @property
    def _is_body_due(self) -> bool:
        return not self._is_idle and self.cycle.more_body and not self.cycle.response_started

    @property
    def _has_unsent(self) -> bool:
        return self.transport.get_write_buffer_size() > 0

    def is_head_late(self, now: float, limit_s: float) -> bool:
        """Whether a request, or the rest of a refused one, has taken too long to arrive.

        False while uvicorn's own timer for idle connections runs: a request's first byte ends that timer.
        """
        return self._is_idle and self.timeout_keep_alive_task is None and now - self._begun_at > limit_s

    def is_stalled(self, now: float, limit_s: float) -> bool:
        """Whether the caller has read nothing of what lies unsent for so long. Ask it regularly."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._taken_at = now
        self._unsent = unsent
        return now - self._taken_at > limit_s

    def drop(self) -> None:
        """Close at once, and throw away what has not been sent."""
        self._all.forget(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._begun_at = self._taken_at = self.loop.time()
        self._all.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.timeout_keep_alive_task is not None:
            self._begun_at = self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._begun_at = self.loop.time()
        super().on_response_complete()

    def resume_writing(self) -> None:
        self._unsent = sys.maxsize  # the caller has read some; what was written since does not matter
        super().resume_writing()
