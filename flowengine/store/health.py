"""What `/health` tells: whether Redis answers, takes writes and has memory, and who serves the queues.

"down" means that the API cannot do its work: Redis is unreachable or takes no writes. "degraded" means
that it can, but something is missing: what is accepted waits for an orchestrator or a worker, new work
is refused because memory is short, or Redis is set up so that no process would start on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import redis
import structlog

from flowengine.errors import StoreUnavailableError
from flowengine.execution.views.executions import HealthView, QueueView
from flowengine.plaintext import plain_text
from flowengine.queues import ORCHESTRATOR_QUEUE, handler_line
from flowengine.store.admission import memory_of, parse_info
from flowengine.store.connection.clock import milliseconds
from flowengine.store.connection.packing import Command
from flowengine.store.keys import HEALTH
from flowengine.store.operations.queue_backlog import look_at_queue
from flowengine.store.server_checks.server_facts import REPLICA, facts_of, troubles_of, warnings_of
from flowengine.store.state import RedisState

log = structlog.stdlib.get_logger()

HANDLERS_ASKED = 100
NAMES_SHOWN = 5
NAME_CHARS = 60

NOT_KNOWN = "not known"
"""Of a server that does not tell: no sign that anything is wrong."""

# What the server said, though redis-py files some of it under errors of the connection.
_ANSWERS = (redis.ResponseError, redis.AuthenticationError, redis.BusyLoadingError)


class Health:
    """Asks Redis, in a few round trips."""

    def __init__(self, state: RedisState, queues: Sequence[str]) -> None:
        self._state = state
        self._queues = queues

    def __call__(self) -> HealthView:
        """The truth as of now. Never raises."""
        try:
            time, _ = self._state.sessions.retrying_read([("TIME",), ("SET", HEALTH, "1", "EX", 60)])
        except (StoreUnavailableError, redis.RedisError) as error:
            log.warning("health.redis_down", error=str(error))
            return HealthView(status="down", checks={"redis": _said(_cause(error))})
        info = self._info()
        facts = facts_of(info)
        troubles = troubles_of(facts)
        server = "; ".join(trouble.reason for trouble in troubles) or "ok"
        if any(trouble.blocks for trouble in troubles):
            return HealthView(status="down", checks={"redis": server})
        handlers = self._handlers(milliseconds(time))
        checks = {"redis": server, "memory": self._memory(info), "handlers": handlers}
        if put_off := self._put_off(milliseconds(time)):
            checks["put off"] = put_off
        queues: dict[str, QueueView] = {}
        for queue in self._queues:
            view = look_at_queue(self._state, queue, milliseconds(time))
            queues[queue] = view
            service = "orchestrator" if queue == ORCHESTRATOR_QUEUE else f"worker ({queue})"
            checks[service] = "ok" if view.consumers else "none is running"
        whole = all(found in ("ok", NOT_KNOWN) for found in checks.values())
        status: Literal["ok", "degraded"] = "ok" if whole else "degraded"
        return HealthView(status=status, checks=checks, queues=queues, warnings=tuple(warnings_of(facts)))

    def _info(self) -> dict[str, str]:
        """What INFO tells; empty if it is not allowed, or if Redis has gone away since."""
        try:
            reply = self._state.sessions.told(("INFO",))
        except (StoreUnavailableError, redis.RedisError) as error:
            log.info("health.server_not_known", error=str(error))
            return {}
        return {} if reply is None else parse_info(reply)

    def _memory(self, info: Mapping[str, str]) -> str:
        if not info:
            return NOT_KNOWN
        memory = memory_of(info, self._state.settings)
        if memory.has_room():
            return "ok"
        return (
            f"{memory.used} bytes used, the limit is {memory.limit} ({memory.because}): new work is refused"
        )

    def _handlers(self, now: int) -> str:
        """Which handlers nodes wait for that no worker knows: who knows one says so thrice a lease."""
        names, before = self._state.keys, now - self._state.lease_ms
        try:
            listed = self._read_for_each(
                [
                    ("ZRANGE", names.handlers(queue), "-inf", before, "BYSCORE", "LIMIT", 0, HANDLERS_ASKED)
                    for queue in self._queues
                ]
            )
            lines = [
                (handler.decode(errors="replace"), handler_line(queue, handler.decode(errors="replace")))
                for queue, handlers in zip(self._queues, listed, strict=True)
                for handler in handlers
            ]
            lengths = self._read_for_each([("XLEN", names.stream(line)) for _, line in lines])
        except (StoreUnavailableError, redis.RedisError):
            return NOT_KNOWN
        waiting = [
            f"{plain_text(name)[:NAME_CHARS]!r} ({length} waiting)"
            for (name, _), length in zip(lines, lengths, strict=True)
            if length
        ]
        return f"no worker knows {_shown(waiting)}" if waiting else "ok"

    def _read_for_each(self, commands: Sequence[Command]) -> list[Any]:
        return self._state.sessions.retrying_read(commands) if commands else []

    def _put_off(self, now: int) -> str:
        """What waits for a process that understands it: each looks thrice a lease. Empty if nothing does."""
        keys = [self._state.keys.later(queue) for queue in self._queues]
        try:
            oldest = self._read_for_each([("XRANGE", key, "-", "+", "COUNT", 1) for key in keys])
            lengths = self._read_for_each([("XLEN", key) for key in keys])
        except (StoreUnavailableError, redis.RedisError):
            return ""
        before = now - self._state.lease_ms
        waiting = [
            f"{queue!r} ({length} waiting)"
            for queue, length, entries in zip(self._queues, lengths, oldest, strict=True)
            if length and entries and int(entries[0][0].split(b"-")[0]) < before
        ]
        return f"no process understands all messages of {_shown(waiting)}" if waiting else ""


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def _said(cause: BaseException) -> str:
    """What is wrong with a server that does not take the health check's write."""
    if isinstance(cause, redis.exceptions.ReadOnlyError):
        return f"refuses commands: {REPLICA.reason}"
    if isinstance(cause, redis.exceptions.NoPermissionError):
        return "refuses commands: its user has too few rights; the log says which"
    if isinstance(cause, _ANSWERS):
        return "refuses commands; its log or INFO says why"
    return "does not answer"


def _cause(error: BaseException) -> BaseException:
    """What the server said or the connection suffered, under the error that names it to callers."""
    while isinstance(error, StoreUnavailableError) and error.__cause__ is not None:
        error = error.__cause__
    return error
