"""How messages leave this process's hands without having been dealt with.

A hand-back for a reason that is not the message's fault does not count as a delivery: restarts and
outages must not use up the limit. Redis being away is no error here: what could not be handed back
lapses with its lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import redis
import structlog

from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.streams.consumer_group import ConsumerGroup, is_missing_group
from flowengine.errors import StoreUnavailableError

RETRY_AFTER_MS: Final = 1000
"""A message whose actor raised comes back no sooner, or it would come back in a tight loop."""

log = structlog.stdlib.get_logger(__name__)


def return_unstarted(group: ConsumerGroup, deliveries: Iterable[Delivery], *, reason: str) -> None:
    """Hand back deliveries that ran nowhere, or are to run elsewhere: at once and uncounted."""
    by_queue: dict[str, dict[bytes, int]] = {}
    for delivery in deliveries:
        counts = by_queue.setdefault(delivery.queue, {})
        counts.update({entry.id: entry.deliveries - 1 for entry in delivery.unsettled})
    for queue, counts in by_queue.items():
        _hand_back(group, queue, counts, lapses_in_ms=0, reason=reason)


def return_part(group: ConsumerGroup, delivery: Delivery, entries: Sequence[int]) -> None:
    """Hand back some entries of a delivery that has started, before they were begun: uncounted."""
    counts = {delivery.entries[index].id: delivery.entries[index].deliveries - 1 for index in entries}
    delivery.confirm(entries)  # they are ours no more
    _hand_back(group, delivery.queue, counts, lapses_in_ms=0, reason="overtaken")


def return_failed(group: ConsumerGroup, delivery: Delivery, entries: list[Entry]) -> None:
    """Hand back what an actor left unsettled; it comes back after a short while.

    Counted, unless Redis was away and the message came alone: a joined message must count, so that
    its parts come back one by one.
    """
    outage = isinstance(delivery.exception, redis.RedisError | StoreUnavailableError)
    uncounted = 1 if outage and len(delivery.entries) == 1 else 0
    counts = {entry.id: entry.deliveries - uncounted for entry in entries}
    raised = delivery.exception
    reason = f"{type(raised).__name__}: {raised}" if raised else "not acknowledged"
    _hand_back(group, delivery.queue, counts, lapses_in_ms=RETRY_AFTER_MS, reason=reason)


def _hand_back(
    group: ConsumerGroup, queue: str, counts: dict[bytes, int], *, lapses_in_ms: int, reason: str
) -> None:
    if not counts:
        return
    try:
        group.hand_back(queue, counts, lapses_in_ms=lapses_in_ms)
    except redis.RedisError as error:
        if not is_missing_group(error):
            log.warning("broker.hand_back_failed", queue=queue, count=len(counts), error=str(error))
        return
    log.info("broker.messages_handed_back", queue=queue, count=len(counts), reason=reason)
