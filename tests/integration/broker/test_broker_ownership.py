"""Whose a message is: renewed only by who has it in hand, taken over only when its lease has lapsed."""

from __future__ import annotations

import pytest
import redis

from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.leases.lease_keeper import LeaseKeeper
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import ACTOR, PAYLOAD
from flowengine.queues import GROUP, stream_key
from tests.support.checks.snapshot import Client
from tests.support.rigs.broker_rig import make_assembler

QUEUE = "q"
LEASE_MS = 60_000


@pytest.fixture
def client(redis_client: redis.Redis) -> Client:
    """A client of an empty server with three messages in the queue."""
    ConsumerGroup(redis_client, "someone", lease_ms=LEASE_MS).create(QUEUE)
    for number in range(3):
        redis_client.xadd(stream_key(QUEUE), {ACTOR: b"work", PAYLOAD: b"%d" % number})
    return redis_client


def make_idle(client: Client, consumer: str) -> None:
    """Let half a lease pass for everything that is pending."""
    ids = [row["message_id"] for row in client.xpending_range(stream_key(QUEUE), GROUP, "-", "+", 10)]
    for entry in ids:
        client.xclaim(stream_key(QUEUE), GROUP, consumer, 0, [entry], idle=LEASE_MS // 2, justid=True)


def idle_of(client: Client) -> dict[bytes, int]:
    """How long ago each pending message was renewed, in milliseconds."""
    rows = client.xpending_range(stream_key(QUEUE), GROUP, "-", "+", 10)
    return {row["message_id"]: row["time_since_delivered"] for row in rows}


def test_a_message_whose_delivery_was_lost_is_not_renewed(client: Client) -> None:
    """Pending in this process's name but not in its memory: it must lapse, or nobody ever runs it."""
    group = ConsumerGroup(client, "me", lease_ms=LEASE_MS)
    got, lost, other = group.read(QUEUE, 3, 1)
    held_messages = HeldMessages()
    assembler = make_assembler({"work": ActorPolicy()}, release=held_messages.release)
    held_messages.hold(assembler.assemble([(got, 1), (other, 1)]).deliveries)
    make_idle(client, "me")
    LeaseKeeper(group, held_messages, lambda: [QUEUE], lambda queue: None).renew(QUEUE)
    idle = idle_of(client)
    assert idle[lost[0]] >= LEASE_MS // 2
    assert max(idle[got[0]], idle[other[0]]) < LEASE_MS // 2


def test_a_message_that_was_renewed_meanwhile_is_not_taken_over(client: Client) -> None:
    """Between the look at what has lapsed and the claim, its holder may have come back."""
    mine, theirs = (ConsumerGroup(client, name, lease_ms=LEASE_MS) for name in ("me", "they"))
    entries = theirs.read(QUEUE, 2, 1)
    ids = [entry[0] for entry in entries]
    client.xclaim(stream_key(QUEUE), GROUP, "they", 0, ids, idle=LEASE_MS, justid=True)
    assert [lapsed.id for lapsed in mine.lapsed(QUEUE, 10).lapsed] == ids
    theirs.renew(QUEUE, ids[:1])
    assert [entry[0] for entry in mine.claim(QUEUE, ids)] == ids[1:]
    assert theirs.owned(QUEUE) == {ids[0]}
