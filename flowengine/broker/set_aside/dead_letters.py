"""Dead letters: a message that cannot be processed goes to a bounded stream beside its queue.

One transaction sends the callback, writes the dead letter and removes the message, so that none of the three
happens without the others.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import structlog

from flowengine.broker.delivery import Entry
from flowengine.broker.policy import Policies
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import UndecodablePayloadError, acknowledge, decode, post
from flowengine.execution.messages import Callback
from flowengine.observability.metrics import counted
from flowengine.queues import ORCHESTRATOR_QUEUE, dead_letter_key

Reason: TypeAlias = Literal["undecodable", "exhausted", "unknown_actor", "rejected", "raised"]

DEAD_LETTERS_KEPT: Final = 1000

log = structlog.stdlib.get_logger(__name__)


def bury(
    group: ConsumerGroup, queue: str, entry: Entry, reason: Reason, policies: Policies, *, line: str = ""
) -> None:
    """Move an entry to its queue's dead letters, sending its actor's `on_dead` message if it is exhausted.

    `line`: it stands in a line beside the queue. Raises redis.RedisError. Then the entry is where it was or
    buried, never half.
    """
    # This delivery was never started, so it does not count.
    starts = entry.deliveries - 1 if reason == "exhausted" else entry.deliveries
    pipe = group.client.pipeline(transaction=True)
    told = _last_words(entry, starts, policies) if reason == "exhausted" else None
    if told is not None:
        post(pipe, ORCHESTRATOR_QUEUE, told, group.partition, group.owner)
    # fmt: off
    pipe.execute_command(
        "XADD", dead_letter_key(queue, group.partition), "MAXLEN", "~", DEAD_LETTERS_KEPT, "*",
        *entry.fields, "reason", reason, "entry", entry.id, "deliveries", starts,
    )
    # fmt: on
    acknowledge(pipe, group.stream(line or queue), [entry.id])
    pipe.execute()
    counted.DEAD_LETTERS.add(queue, reason)
    log.error(
        "broker.message_buried",
        queue=queue,
        actor=entry.actor or None,
        entry=entry.id.decode(),
        reason=reason,
        deliveries=starts,
    )


def _last_words(entry: Entry, starts: int, policies: Policies) -> Callback | None:
    policy = policies.get(entry.actor)
    if policy is None or policy.on_dead is None or entry.payload is None:
        return None
    try:
        return policy.on_dead(decode(entry.actor, entry.payload), starts)
    except UndecodablePayloadError:
        log.exception("broker.dead_message_not_told", actor=entry.actor, entry=entry.id.decode())
        return None
