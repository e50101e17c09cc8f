"""A consumer that lives is seen to live, on every server and whatever its process does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from flowengine.broker.streams.consumer_group import ConsumerGroup, Server
from flowengine.queues import GROUP, stream_key
from tests.support.rigs.broker_rig import QUEUE, Rig, Seen
from tests.support.waiting import wait_until


def silent_ms(rig: Rig, consumer: bytes) -> int | None:
    """How long the server has noted nothing of this consumer; None if it does not know it."""
    rig.make_group()
    for row in rig.client.xinfo_consumers(stream_key(QUEUE), GROUP):
        if row["name"] == consumer:
            return int(row["idle"])
    return None


def wait_for_signs(rig: Rig, consumer: bytes, *, count: int = 3) -> None:
    """Until the server has noted it so often."""
    looks: list[int] = []

    def noted_again() -> bool:
        now = silent_ms(rig, consumer)
        if now is not None:
            looks.append(now)
        return sum(later < before for before, later in pairwise(looks)) >= count

    wait_until(noted_again, what="signs of life")


@pytest.fixture
def signs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines in which signs were given."""
    given: list[str] = []
    sign: Callable[[ConsumerGroup, str], None] = ConsumerGroup.sign

    def spy(group: ConsumerGroup, line: str) -> None:
        given.append(line)
        sign(group, line)

    monkeypatch.setattr(ConsumerGroup, "sign", spy)
    return given


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each read has found."""
    found: list[int] = []
    read: Callable[..., Any] = ConsumerGroup.read

    def spy(group: ConsumerGroup, *args: Any, **options: Any) -> Any:
        entries = read(group, *args, **options)
        found.append(len(entries))
        return entries

    monkeypatch.setattr(ConsumerGroup, "read", spy)
    return found


@pytest.mark.proves("idle-consumer")
def test_a_consumer_with_nothing_to_do_is_seen(rig: Rig) -> None:
    """Redis before 7.2 does not note a read that finds nothing."""
    broker = rig.engine_broker()
    rig.actor(broker, Seen())
    rig.work(broker)
    wait_for_signs(rig, broker.group.consumer)


@pytest.mark.proves("idle-consumer")
def test_a_consumer_whose_threads_are_all_busy_is_seen(rig: Rig) -> None:
    """It reads nothing then, and renews its leases only now and then."""
    broker, seen = rig.engine_broker(lease_s=600.0), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"long", b"waits")
    rig.work(broker, threads=1)
    wait_until(lambda: seen.calls)
    wait_for_signs(rig, broker.group.consumer)
    assert len(seen.calls) == 1


def test_a_sign_touches_nothing_that_is_pending(rig: Rig) -> None:
    """Not who holds an entry, how often it was delivered, nor its lease."""
    broker = rig.engine_broker()
    rig.send(broker, b"held", b"new")
    [entry] = rig.take_as(broker.group.consumer.decode(), deliveries=2)
    rig.client.xclaim(
        stream_key(QUEUE), GROUP, broker.group.consumer, 0, [entry], idle=5000, justid=True, retrycount=2
    )
    broker.group.sign(QUEUE)
    row: dict[str, Any]
    [row] = rig.client.xpending_range(stream_key(QUEUE), GROUP, "-", "+", 10)
    assert (row["message_id"], row["times_delivered"]) == (entry, 2)
    assert int(row["time_since_delivered"]) >= 5000


@pytest.mark.parametrize("notes_empty_reads", [True, False])
def test_signs_are_sent_only_where_reads_are_none(
    rig: Rig,
    signs: list[str],
    reads: list[int],
    monkeypatch: pytest.MonkeyPatch,
    notes_empty_reads: bool,
) -> None:
    """From Redis 7.2 on, an idle consumer sends what it always did; before, one sign a read at most."""
    told = Server(uptime_s=3600, notes_empty_reads=notes_empty_reads)
    monkeypatch.setattr(ConsumerGroup, "server", lambda group: told)
    broker = rig.engine_broker()
    rig.actor(broker, Seen())
    rig.work(broker)
    wait_until(lambda: len(reads) >= 4)
    assert bool(signs) is not notes_empty_reads
    assert len(signs) <= len(reads) + 1
