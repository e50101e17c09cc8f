"""What metrics tell of Redis, read when the API is asked: in a few round trips, however much is kept."""

from __future__ import annotations

from collections.abc import Callable

import redis

from flowengine.errors import StoreUnavailableError
from flowengine.execution.views.operations import HandlerLineView, QueueLoadView, QueuesView
from flowengine.observability.metrics import gauges
from flowengine.observability.metrics.gauges import Gauge, Reading
from flowengine.store.operations.kept_counts import kept_reads, parse_kept
from flowengine.store.state import RedisState


class RedisGauges:
    """The gauges of a stack. `queues` tells of its queues."""

    def __init__(self, state: RedisState, queues: Callable[[], QueuesView]) -> None:
        self._state = state
        self._queues = queues

    def __call__(self) -> tuple[Reading, ...]:
        """As of now; where Redis does not answer, only that. Never raises."""
        try:
            return (self._executions(), *_of_queues(self._queues()), Reading(gauges.UP, {(): 1}))
        except (StoreUnavailableError, redis.RedisError):
            return (Reading(gauges.UP, {(): 0}),)

    def _executions(self) -> Reading:
        kept = parse_kept(self._state.sessions.retrying_read(kept_reads(self._state.keys)))
        return Reading(gauges.EXECUTIONS, {(status,): count for status, count in kept.items()})


def _of_queues(view: QueuesView) -> tuple[Reading, ...]:
    def reading(gauge: Gauge, of: Callable[[QueueLoadView], float]) -> Reading:
        return Reading(gauge, {(queue.queue,): of(queue) for queue in view.items})

    return (
        reading(gauges.LENGTH, lambda queue: sum(each.length for each in _lines(queue))),
        reading(gauges.IN_FLIGHT, lambda queue: sum(each.in_flight for each in _lines(queue))),
        reading(gauges.OLDEST, lambda queue: max(each.oldest_age_s or 0.0 for each in _lines(queue))),
        reading(gauges.CONSUMERS, lambda queue: queue.consumers),
        reading(gauges.DEAD, lambda queue: queue.dead_letters),
    )


def _lines(queue: QueueLoadView) -> tuple[QueueLoadView | HandlerLineView, ...]:
    """The queue, and the lines beside it."""
    return (queue, *queue.handlers)
