"""What `/health` tells: whether Redis answers, takes writes and has memory, and who serves the queues.

"down" means that the API cannot do its work: Redis is unreachable or refuses writes. "degraded" means
that it can, but something is missing: what is accepted waits for an orchestrator or a worker, or new work
is refused for want of memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import redis
import structlog

from flowengine.errors import StoreUnavailableError
from flowengine.execution.views import HealthView, QueueView
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE, stream_key
from flowengine.store.admission import parse_info
from flowengine.store.connection.clock import milliseconds
from flowengine.store.keys import HEALTH
from flowengine.store.state import RedisState
from flowengine.store.task_states import is_alive

log = structlog.stdlib.get_logger()

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
            refused = isinstance(_cause(error), _ANSWERS)
            said = "refuses commands; its log or INFO says why" if refused else "does not answer"
            return HealthView(status="down", checks={"redis": said})
        checks = {"redis": "ok", "memory": self._memory()}
        queues: dict[str, QueueView] = {}
        for queue in self._queues:
            view = self._queue(queue, milliseconds(time))
            queues[queue] = view
            service = "orchestrator" if queue == ORCHESTRATOR_QUEUE else f"worker ({queue})"
            checks[service] = "ok" if view.consumers else "none is running"
        whole = all(found in ("ok", NOT_KNOWN) for found in checks.values())
        return HealthView(status="ok" if whole else "degraded", checks=checks, queues=queues)

    def _memory(self) -> str:
        try:
            figures = parse_info(self._state.sessions.retrying_read([("INFO", "memory")])[0])
        except (StoreUnavailableError, redis.RedisError) as error:
            log.info("health.memory_not_known", error=str(error))
            return NOT_KNOWN
        most, used = int(figures.get("maxmemory", 0)), int(figures.get("used_memory", 0))
        if most and used > most * self._state.settings.memory_limit_ratio:
            return f"{used} of {most} bytes used: new work is refused"
        return "ok"

    def _queue(self, queue: str, now: int) -> QueueView:
        key = stream_key(queue, self._state.keys.partition)
        try:
            length, first = self._state.sessions.here().call(
                [("XLEN", key), ("XRANGE", key, "-", "+", "COUNT", 1)]
            )
        except (StoreUnavailableError, redis.RedisError):
            return QueueView(length=0, oldest_age_s=None, consumers=0)
        oldest = int(first[0][0].split(b"-")[0]) if first else None
        age = None if oldest is None else max(0, now - oldest) / 1000
        return QueueView(length=length, oldest_age_s=age, consumers=self._consumers(key))

    def _consumers(self, key: str) -> int:
        """How many processes serve a queue; none, where no process ever did: it has no group yet."""
        try:
            (consumers,) = self._state.sessions.here().call([("XINFO", "CONSUMERS", key, GROUP)])
        except (StoreUnavailableError, redis.RedisError):
            return 0
        return sum(map(is_alive, consumers))


def _cause(error: BaseException) -> BaseException:
    """What the server said or the connection suffered, under the error that names it to callers."""
    while isinstance(error, StoreUnavailableError) and error.__cause__ is not None:
        error = error.__cause__
    return error
