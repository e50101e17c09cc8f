"""Leases: who holds a message, for how long, and who may take it over, under faults of the server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Delivery
from flowengine.broker.leases.lease_keeper import LeaseKeeper
from flowengine.broker.leases.recoverer import Recoverer
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.consumer_group import ConsumerGroup, Server
from flowengine.broker.streams.wire import ACTOR, PAYLOAD
from flowengine.broker.timing import Timing
from flowengine.queues import GROUP, stream_key
from tests.support.rigs.broker_rig import PATIENT, QUEUE, Rig, Seen, make_assembler
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

LIMITS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0)
"""The longest wait before each try of an outage."""


@pytest.fixture
def own_rig(private_valkey: Callable[..., Valkey]) -> Iterator[Rig]:
    """A rig on a server of its own, with an append-only file: to be killed and frozen."""
    made = Rig(private_valkey(persistent=True, appendfsync="always"))
    yield made
    made.server.thaw()
    made.close()


def test_messages_survive_a_crash_of_the_server(own_rig: Rig) -> None:
    """After SIGKILL of the server and a restart on its file, what waited is processed, and so is the new."""
    rig = own_rig
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.send(broker, b"waiting")
    rig.server.kill()
    rig.work(broker)
    rig.server.start()
    wait_until(lambda: seen.payloads == [b"waiting"])
    rig.send(broker, b"new")
    wait_until(lambda: seen.payloads == [b"waiting", b"new"])


@pytest.mark.slow
def test_running_message_outlives_a_restart_of_the_server(own_rig: Rig) -> None:
    """A message that runs while the server is away for longer than its lease is not run a second time."""
    rig = own_rig
    lease_s = 5.0
    broker, seen = rig.engine_broker(lease_s=lease_s), Seen()
    rig.actor(broker, seen, gated=True)
    other, theirs = rig.engine_broker(lease_s=lease_s), Seen()
    rig.actor(other, theirs)
    rig.send(broker, b"long")
    rig.work(broker)
    wait_until(lambda: seen.calls)
    rig.work(other)
    rig.server.kill()
    wait_for_s(lease_s + 0.2)
    rig.server.start()
    wait_for_s(lease_s + 1.0)
    seen.gate.set()
    wait_until(lambda: rig.length() == 0)
    assert (len(seen.calls), theirs.calls) == (1, [])


@contextlib.contextmanager
def stalled(server: Valkey, for_s: float) -> Iterator[None]:
    """The server stands still for so long, from now on."""
    server.freeze()
    thawing = threading.Timer(for_s, server.thaw)
    thawing.start()
    try:
        yield
    finally:
        thawing.join()


@pytest.mark.parametrize("meets", ["a read", "a sign", "a scan"])
def test_server_that_stood_still_makes_nobody_take_over(
    own_rig: Rig, monkeypatch: pytest.MonkeyPatch, meets: str
) -> None:
    """Longer than a third of a lease, and holders get one more to come back and renew."""
    rig = own_rig
    told = Server(uptime_s=3600, notes_empty_reads=meets != "a sign")
    monkeypatch.setattr(ConsumerGroup, "server", lambda group: told)
    timing = replace(PATIENT, scan_every_s=3600.0)
    broker, other = (rig.engine_broker(lease_s=3.0, timing=timing) for _ in range(2))
    for made in (broker, other):
        rig.actor(made, Seen())
    rig.send(broker, b"held")
    [entry] = rig.take_as("holder")
    consumer, others = broker.consume(QUEUE), other.consume(QUEUE)
    assert next(consumer) is None
    lapse(rig, entry, "holder")
    if meets == "a scan":
        consumer._recoverer._next_scan = 0.0
    with stalled(rig.server, 2.6):
        assert next(consumer) is None
    consumer._recoverer._next_scan = 0.0
    assert next(consumer) is None
    assert rig.pending() == {entry: (b"holder", 1)}
    assert next(others) is not None
    for each in (consumer, others):
        each.close()


def test_server_just_started_makes_nobody_take_over(own_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that starts right after the server gives the old holders a lease's time to come back."""
    rig = own_rig
    early, late = (rig.engine_broker(lease_s=60.0) for _ in range(2))
    for broker in (early, late):
        rig.actor(broker, Seen())
    rig.send(early, b"held")
    [entry] = rig.take_as("holder")
    lapse(rig, entry, "holder")
    rig.server.kill()
    rig.server.start()
    consumer = early.consume(QUEUE)
    assert next(consumer) is None
    assert rig.pending() == {entry: (b"holder", 1)}
    monkeypatch.setattr(ConsumerGroup, "server", lambda group: Server(uptime_s=60))
    others = late.consume(QUEUE)
    assert next(others) is not None
    for each in (consumer, others):
        each.close()


def test_process_that_was_cut_off_takes_nothing_over_for_a_lease(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others may have been cut off with it and be about to renew; one that was not takes over."""
    timing = replace(PATIENT, scan_every_s=0.0)
    monkeypatch.setattr(ConsumerGroup, "server", lambda group: Server(uptime_s=3600))
    cut_off, other = (rig.engine_broker(lease_s=30.0, timing=timing) for _ in range(2))
    for broker in (cut_off, other):
        rig.actor(broker, Seen())
    rig.send(other, b"held")
    [entry] = rig.take_as("holder")
    consumer, others = cut_off.consume(QUEUE), other.consume(QUEUE)
    assert next(consumer) is None
    rig.client.client_kill_filter(_type="normal", skipme=True)
    assert (next(consumer), consumer._failures) == (None, 1)
    lapse(rig, entry, "holder")
    assert next(consumer) is None
    assert rig.pending() == {entry: (b"holder", 1)}
    assert next(others) is not None
    assert rig.pending() == {entry: (other.group.consumer, 2)}
    for each in (consumer, others):
        each.close()


def test_lost_lease_is_not_taken_back(rig: Rig) -> None:
    """A message that another process has taken over stays that process's, whatever the first one does."""
    broker, seen = rig.engine_broker(lease_s=30.0), Seen()
    rig.actor(broker, seen, gated=True, acknowledge=False)
    rig.send(broker, b"contested")
    rig.work(broker)
    wait_until(lambda: seen.calls)
    [entry] = rig.pending()
    rig.client.execute_command(b"XCLAIM", stream_key(QUEUE), GROUP, "other", 0, entry, "JUSTID")
    keeper = keeper_of(broker)
    for _ in range(2):
        keeper.renew(QUEUE)
    assert not broker.held_messages.held_ids(QUEUE)
    assert rig.pending()[entry][0] == b"other"
    # The first process ends without acknowledging: its hand-back must leave the entry alone.
    seen.gate.set()
    wait_until(lambda: not broker.held_messages.all(QUEUE))
    assert rig.pending()[entry][0] == b"other"


def test_own_lapsed_entry_is_renewed_and_not_taken_over(rig: Rig) -> None:
    """A process whose keeper stood still finds what it runs among the lapsed: to claim it would be to run
    it twice, and count a delivery."""
    broker = rig.engine_broker(lease_s=30.0)
    own = broker.group.consumer.decode()
    rig.send(broker, b"mine", b"theirs")
    [mine] = rig.take_as(own)
    [theirs] = rig.take_as("gone")
    broker.held_messages.hold(deliveries_of(broker, mine))
    for entry, consumer in ((mine, own), (theirs, "gone")):
        lapse(rig, entry, consumer)
    taker = Recoverer(broker.group, QUEUE, broker.held_messages, cautious=False)
    assert [entry for (entry, _), _ in taker.take(10)] == [theirs]
    assert rig.pending()[mine] == (own.encode(), 1)
    assert broker.group.lapsed(QUEUE, 10).lapsed == []


def keeper_of(broker: StreamsBroker, timing: Timing = PATIENT) -> LeaseKeeper:
    """What keeps this broker's leases, moved by hand."""
    return LeaseKeeper(broker.group, broker.held_messages, lambda: [QUEUE], lambda queue: None, timing)


def lapse(rig: Rig, entry: bytes, consumer: str) -> None:
    """Let an entry's lease lapse, without waiting for it."""
    # fmt: off
    rig.client.execute_command(
        b"XCLAIM", stream_key(QUEUE), GROUP, consumer, 0, entry, "IDLE", 60_000, "JUSTID"
    )
    # fmt: on


def deliveries_of(broker: StreamsBroker, entry: bytes) -> list[Delivery]:
    """The delivery of one entry, as its consumer makes it."""
    assembler = make_assembler(broker.policies, release=broker.held_messages.release)
    return assembler.assemble([((entry, [ACTOR, b"act", PAYLOAD, b"mine"]), 1)]).deliveries


@pytest.mark.proves("redis-data-lost")
def test_groups_are_made_again_after_data_loss(rig: Rig) -> None:
    """FLUSHALL under a blocked consumer: the next message is processed as if nothing had been."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.send(broker, b"before")
    wait_until(lambda: rig.length() == 0 and seen.calls)
    for number in range(3):
        rig.client.flushall()
        rig.send(broker, b"after %d" % number)
        wait_until(lambda count=number + 2: len(seen.calls) == count)  # type: ignore[misc]  # a default, not a parameter


def test_clean_stop_leaves_the_group(rig: Rig) -> None:
    """A worker that stops with nothing in hand leaves no consumer behind."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.send(broker, b"one")
    worker = rig.work(broker)
    wait_until(lambda: rig.length() == 0)
    rig.stop(worker)
    # A stop does not wait for it for long.
    wait_until(lambda: consumers(rig) == [])


def test_worker_survives_an_outage_and_says_so_once(own_rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """An outage is one warning and one recovery in the log, not one line a try."""
    rig = own_rig
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.send(broker, b"before")
    wait_until(lambda: seen.calls and rig.length() == 0)
    rig.server.kill()
    wait_for_s(1.0)
    rig.server.start()
    rig.send(broker, b"after")
    wait_until(lambda: len(seen.calls) == 2)
    printed = capsys.readouterr().out
    assert printed.count("broker.connection_lost") == 1
    assert printed.count("broker.connection_recovered") == 1


@pytest.mark.proves("redis-killed")
def test_tries_to_reconnect_are_spread_and_spaced_out(own_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is drawn from the upper half of a limit that doubles up to 2 s; a recovery begins anew."""
    rig = own_rig
    broker = rig.engine_broker()
    rig.actor(broker, Seen())
    waits: list[float] = []
    monkeypatch.setattr(broker.held_messages, "rest", waits.append)
    consumer = broker.consume(QUEUE)
    rig.server.kill()
    for _ in range(8):
        assert next(consumer) is None
    assert_spaced(waits)
    assert len({round(wait / limit, 6) for wait, limit in zip(waits, LIMITS_S, strict=True)}) > 1
    waits.clear()
    rig.server.start()
    assert next(consumer) is None
    assert waits == []
    rig.server.kill()
    for _ in range(2):
        assert next(consumer) is None
    assert_spaced(waits)
    rig.server.start()
    consumer.close()


def test_frozen_process_hands_nothing_back_that_another_runs(rig: Rig) -> None:
    """Only what is pending in this process's name is handed back: a stranger's message stays where it is."""
    broker = rig.engine_broker()
    rig.send(broker, b"theirs")
    [entry] = rig.take_as("other")
    broker.group.hand_back(QUEUE, {entry: 0}, lapses_in_ms=0)
    assert rig.pending() == {entry: (b"other", 1)}


def test_many_threads_and_processes_process_each_message_once(rig: Rig) -> None:
    """Three workers share a thousand messages: each is processed, none twice."""
    seen = Seen()
    for _ in range(3):
        broker = rig.engine_broker(policy=ActorPolicy(join=16), lease_s=30.0)
        rig.actor(broker, seen)
        rig.work(broker, threads=4)
    payloads = [b"%d" % number for number in range(1000)]
    rig.send(broker, *payloads)
    wait_until(lambda: rig.length() == 0, within_s=20.0)
    assert sorted(seen.payloads) == sorted(payloads)


def test_idle_broker_asks_little_of_the_server(rig: Rig) -> None:
    """An idle consumer sends no more than three commands a second, its lease being the product's."""
    broker, seen = rig.engine_broker(lease_s=12.0), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.send(broker, b"warm")
    wait_until(lambda: rig.length() == 0)
    before = commands(rig)
    begun = time.monotonic()
    wait_for_s(2.5)
    assert (commands(rig) - before - 1) / (time.monotonic() - begun) <= 3.0


def assert_spaced(waits: list[float]) -> None:
    """These are the first waits of an outage."""
    assert waits
    for wait, limit in zip(waits, LIMITS_S, strict=False):
        assert limit / 2 <= wait <= limit


def wait_for_s(seconds: float) -> None:
    """Let real time pass, where its passing is the condition."""
    threading.Event().wait(seconds)


def consumers(rig: Rig) -> list[bytes]:
    rows = rig.client.xinfo_consumers(stream_key(QUEUE), GROUP)
    return [row["name"] for row in rows]


def commands(rig: Rig) -> int:
    return int(rig.client.info("stats")["total_commands_processed"])
