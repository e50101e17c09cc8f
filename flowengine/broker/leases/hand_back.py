"""Hands messages back to their queue that were not processed: their leases end early.

A hand-back does not count as a delivery if the message is not to blame: restarts and outages must not use
up the limit. It is no error if Redis cannot be reached: the leases lapse by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import redis
import structlog

from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.streams.consumer_group import ConsumerGroup, is_missing_group
from flowengine.errors import StoreUnavailableError

log = structlog.stdlib.get_logger(__name__)


def hand_back_unstarted(
    group: ConsumerGroup, deliveries: Iterable[Delivery], *, reason: str, after_s: float = 0.0
) -> None:
    """Hand back deliveries that have not started, or shall run elsewhere: uncounted. They come back after so
    long."""
    by_line: dict[str, dict[bytes, int]] = {}
    for delivery in deliveries:
        counts = by_line.setdefault(delivery.line, {})
        counts.update({entry.id: entry.deliveries - 1 for entry in delivery.unacknowledged})
    for line, counts in by_line.items():
        _hand_back(group, line, counts, lapses_in_ms=int(after_s * 1000), reason=reason)


def hand_back_part(group: ConsumerGroup, delivery: Delivery, entries: Sequence[int]) -> None:
    """Hand back entries of a running delivery that have not begun: at once, and uncounted."""
    counts = {delivery.entries[index].id: delivery.entries[index].deliveries - 1 for index in entries}
    delivery.confirm(entries)  # the delivery has nothing more to do with them
    _hand_back(group, delivery.line, counts, lapses_in_ms=0, reason="not begun")


def hand_back_failed(
    group: ConsumerGroup, delivery: Delivery, entries: list[Entry], *, after_s: float
) -> None:
    """Hand back what an actor has left unacknowledged. It comes back after so long.

    Counts as a delivery, unless the message was not joined and Redis was away. The parts of a joined
    message must count, so that they come back one by one.
    """
    outage = isinstance(delivery.exception, redis.RedisError | StoreUnavailableError)
    uncounted = 1 if outage and len(delivery.entries) == 1 else 0
    counts = {entry.id: entry.deliveries - uncounted for entry in entries}
    raised = delivery.exception
    reason = f"{type(raised).__name__}: {raised}" if raised else "not acknowledged"
    _hand_back(group, delivery.line, counts, lapses_in_ms=int(after_s * 1000), reason=reason)


def _hand_back(
    group: ConsumerGroup, line: str, counts: dict[bytes, int], *, lapses_in_ms: int, reason: str
) -> None:
    if not counts:
        return
    try:
        count = group.hand_back(line, counts, lapses_in_ms=lapses_in_ms)
    except redis.RedisError as error:
        if not is_missing_group(error):
            log.warning("broker.hand_back_failed", queue=line, count=len(counts), error=str(error))
        return
    if count:  # else they were lost before
        log.info("broker.messages_handed_back", queue=line, count=count, reason=reason)
