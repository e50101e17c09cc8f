"""Consumers that are gone are removed, whatever they come back to; and a look costs the same beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.leases.janitor import AT_ONCE, Janitor
from flowengine.broker.leases.recoverer import SCAN_LIMIT, Recoverer
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.queues import GROUP, NOBODY, janitor_key, stream_key
from tests.support.rigs.broker_rig import PATIENT, QUEUE, Rig, Seen
from tests.support.waiting import wait_until

AT_LEAST_ONE_TURN = replace(PATIENT, remove_silent_s=0.0)
KEY = stream_key(QUEUE)


def consumers(rig: Rig) -> set[bytes]:
    """Those of the queue's group."""
    return {row["name"] for row in rig.client.xinfo_consumers(KEY, GROUP)}


def janitor_of(broker: StreamsBroker) -> Janitor:
    """What removes consumers for this broker, moved by hand. It takes each silence for death."""
    return Janitor(broker.group, AT_LEAST_ONE_TURN)


def make_dead(rig: Rig, count: int) -> None:
    """So many consumers that hold nothing."""
    rig.make_group()
    pipe = rig.client.pipeline(transaction=False)
    for number in range(count):
        pipe.xgroup_createconsumer(KEY, GROUP, f"dead-{number}")
    pipe.execute()


def make_pending(rig: Rig, count: int, *, consumer: str) -> list[bytes]:
    """So many entries that this consumer holds; returns their ids."""
    pipe = rig.client.pipeline(transaction=False)
    for number in range(count):
        pipe.xadd(KEY, {"a": "act", "p2": str(number)})
    pipe.execute()
    return rig.take_as(consumer, count=count)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[[StreamsBroker], list[tuple[str, int]]]:
    """Notes each command that a broker's group sends, and how long its reply is."""

    def watch(broker: StreamsBroker) -> list[tuple[str, int]]:
        noted: list[tuple[str, int]] = []
        client = broker.group.client
        execute: Callable[..., Any] = client.execute_command

        def spy(*args: Any, **options: Any) -> Any:
            reply = execute(*args, **options)
            name = args[0].decode() if isinstance(args[0], bytes) else args[0]
            noted.append((name, len(reply) if isinstance(reply, list) else 1))
            return reply

        monkeypatch.setattr(client, "execute_command", spy)
        return noted

    return watch


@pytest.mark.proves("dead-consumers")
def test_a_consumer_that_is_gone_is_removed_and_nothing_of_it_is_lost(rig: Rig) -> None:
    """Once its messages are taken over; live ones stay."""
    broker, seen = rig.engine_broker(timing=replace(PATIENT, remove_silent_s=2.4)), Seen()
    rig.actor(broker, seen)
    rig.send(broker, b"left behind")
    rig.take_as("gone")
    rig.work(broker)
    wait_until(lambda: b"gone" not in consumers(rig))
    wait_until(lambda: seen.payloads == [b"left behind"])
    assert consumers(rig) == {broker.group.consumer}


@pytest.mark.proves("dead-consumers")
def test_thousands_of_consumers_are_removed_in_steps(
    rig: Rig, sent: Callable[[StreamsBroker], list[tuple[str, int]]]
) -> None:
    """One look finds them all, and each turn removes a hundred."""
    broker = rig.engine_broker()
    make_dead(rig, 1050)
    janitor = janitor_of(broker)
    noted = sent(broker)
    left = []
    while consumers(rig):
        janitor.turn(QUEUE)
        left.append(len(consumers(rig)))
    assert left == [*range(950, 0, -AT_ONCE), 0]
    assert [name for name, _ in noted].count("XINFO") == 2


@pytest.mark.proves("dead-consumers")
def test_a_consumer_that_holds_something_is_not_removed(rig: Rig) -> None:
    """However long it has been silent: to remove it would drop what it holds."""
    broker = rig.engine_broker()
    rig.send(broker, b"held")
    [entry] = rig.take_as("gone", deliveries=2)
    janitor_of(broker).turn(QUEUE)
    assert rig.pending() == {entry: (b"gone", 2)}


def test_a_process_removes_neither_itself_nor_nobody(rig: Rig) -> None:
    """However long it has had nothing to do: /health would miss it."""
    broker = rig.engine_broker()
    own = broker.group.consumer
    rig.make_group()
    for name in (own.decode(), NOBODY, "idle"):
        rig.client.xgroup_createconsumer(KEY, GROUP, name)
    janitor_of(broker).turn(QUEUE)
    assert consumers(rig) == {own, NOBODY.encode()}


def test_one_process_looks_at_a_time(rig: Rig) -> None:
    """A list of thousands would cost the server as much again for each process."""
    rig.make_group()
    rig.client.set(janitor_key(QUEUE), "1", px=60_000)
    make_dead(rig, 1)
    janitor = janitor_of(rig.engine_broker())
    janitor.turn(QUEUE)
    assert consumers(rig) == {b"dead-0"}
    rig.client.delete(janitor_key(QUEUE))
    janitor.turn(QUEUE)
    assert consumers(rig) == set()


@pytest.mark.proves("consumer-removed-alive")
def test_a_consumer_that_comes_back_before_its_turn_keeps_what_it_got(rig: Rig) -> None:
    """It was listed as gone, and has taken a message since."""
    broker = rig.engine_broker()
    make_dead(rig, AT_ONCE + 1)
    janitor = janitor_of(broker)
    janitor.turn(QUEUE)
    [last] = consumers(rig)
    rig.send(broker, b"new")
    [entry] = rig.take_as(last.decode())
    janitor.turn(QUEUE)
    assert rig.pending() == {entry: (last, 1)}


@pytest.mark.proves("consumer-removed-alive")
def test_what_a_consumer_gets_while_it_is_removed_is_nobodys(rig: Rig) -> None:
    """DELCONSUMER drops pending entries: what is found beside it lapses at once, with its count."""
    broker = rig.engine_broker()
    rig.send(broker, b"held")
    [entry] = rig.take_as("gone", deliveries=2)
    broker.group.remove_consumer(QUEUE, b"gone")
    assert rig.pending() == {entry: (NOBODY.encode(), 2)}
    assert [lapsed.id for lapsed in broker.group.lapsed(QUEUE, 10).lapsed] == [entry]


@pytest.mark.proves("consumer-removed-alive")
def test_what_was_dropped_with_a_consumer_is_found_again(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process that removed it died before the messages were pending again."""
    broker, seen = rig.engine_broker(timing=replace(PATIENT, remove_silent_s=1.2)), Seen()
    rig.actor(broker, seen)
    rig.send(broker, b"dropped", b"dropped too")
    rig.take_as("gone", count=2)
    assert rig.client.xgroup_delconsumer(KEY, GROUP, "gone") == 2
    rig.work(broker)
    wait_until(lambda: sorted(seen.payloads) == [b"dropped", b"dropped too"])
    wait_until(lambda: rig.length() == 0)
    assert "broker.strays_found" in capsys.readouterr().out


def test_only_strays_are_adopted(rig: Rig) -> None:
    """Not what somebody works on, and not what nobody has got yet."""
    broker = rig.engine_broker()
    rig.send(broker, b"dropped", b"held", b"waits")
    [dropped] = rig.take_as("gone")
    [held] = rig.take_as("works")
    assert broker.group.adopt_strays(QUEUE, 10) == []
    rig.client.xgroup_delconsumer(KEY, GROUP, "gone")
    assert broker.group.adopt_strays(QUEUE, 10) == [dropped]
    assert rig.pending() == {dropped: (NOBODY.encode(), 1), held: (b"works", 1)}


@pytest.mark.proves("consumer-removed-alive")
def test_a_consumer_that_lives_is_made_again_by_its_next_read(rig: Rig) -> None:
    """To be taken for dead costs it nothing."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.make_group()
    wait_until(lambda: consumers(rig) == {broker.group.consumer})
    rig.client.xgroup_delconsumer(KEY, GROUP, broker.group.consumer)
    wait_until(lambda: consumers(rig) == {broker.group.consumer})
    rig.send(broker, b"after")
    wait_until(lambda: seen.payloads == [b"after"])


@pytest.mark.proves("service-stopped")
def test_a_process_leaves_the_group_even_if_it_hands_something_back(rig: Rig) -> None:
    """What it held is nobody's, and keeps its count; nobody counts on the process any more."""
    broker, seen = rig.engine_broker(lease_s=60.0), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"long")
    worker = rig.work(broker)
    wait_until(lambda: seen.calls)
    rig.stop(worker, timeout_ms=100)
    wait_until(lambda: broker.group.consumer not in consumers(rig))
    [(holder, deliveries)] = rig.pending().values()
    assert (holder, deliveries) == (NOBODY.encode(), 0)
    assert broker.group.lapsed(QUEUE, 10).lapsed


def test_who_leaves_takes_nothing_back_that_another_has_taken_over(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed back has lapsed, so others take it over at any moment."""
    broker, other = rig.engine_broker(), rig.engine_broker()
    rig.send(broker, b"handed back")
    [entry] = rig.take_as(broker.group.consumer.decode())
    broker.group.hand_back(QUEUE, {entry: 0}, lapses_in_ms=0)
    give_up = ConsumerGroup._give_up
    claims = iter([[entry]])

    def too_late(group: ConsumerGroup, *args: Any) -> None:
        for ids in claims:
            assert other.group.claim(QUEUE, ids)
        give_up(group, *args)

    monkeypatch.setattr(ConsumerGroup, "_give_up", too_late)
    broker.group.leave(QUEUE)
    assert rig.pending() == {entry: (other.group.consumer, 1)}


@pytest.mark.proves("much-pending")
def test_a_look_costs_the_same_whatever_is_pending(
    rig: Rig, sent: Callable[[StreamsBroker], list[tuple[str, int]]]
) -> None:
    """Twenty thousand messages that others work on, and five thousand dead consumers."""
    broker = rig.engine_broker(lease_s=3600.0)
    noted = sent(broker)
    make_pending(rig, 20_000, consumer="works")
    make_dead(rig, 5_000)
    recoverer = Recoverer(
        broker.group, QUEUE, broker.held_messages, replace(PATIENT, scan_every_s=0.0), cautious=True
    )
    looks = 4
    for _ in range(looks):
        assert recoverer.take(10) == []
    assert noted == [("XPENDING", SCAN_LIMIT)] * looks


@pytest.mark.proves("much-pending")
def test_what_has_lapsed_is_found_behind_all_that_others_work_on(rig: Rig) -> None:
    """A look goes on where the last one stopped, and begins anew at the end."""
    broker = rig.engine_broker(lease_s=3600.0)
    ids = make_pending(rig, 2 * SCAN_LIMIT + 1, consumer="works")
    recoverer = Recoverer(
        broker.group, QUEUE, broker.held_messages, replace(PATIENT, scan_every_s=0.0), cautious=True
    )
    for lapsed in (ids[-1], ids[0]):
        rig.client.xclaim(KEY, GROUP, "gone", 0, [lapsed], idle=3_600_000, justid=True)
        looks = [[entry for (entry, _), _ in recoverer.take(10)] for _ in range(3)]
        assert sorted(looks) == [[], [], [lapsed]]
