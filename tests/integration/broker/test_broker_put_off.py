"""Messages that a process does not understand wait beside their queue, and come back when one does."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

import pytest
import redis

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Entry
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.set_aside.put_off import PAGE, PAGES_A_TURN, PutOffMessages, put_off
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import ACTOR, PAYLOAD, READABLE_PAYLOADS, Understood
from flowengine.execution.rules.deadlines import worker_lost
from flowengine.queues import ORCHESTRATOR_QUEUE, later_key, stream_key
from flowengine.stored_format import FORMAT
from tests.support.faults import WAYS, Gate, Line, ProcessDied
from tests.support.rigs.broker_rig import QUEUE, Rig, Seen, encoded
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

NEWER = b"p%d" % (FORMAT + 1)
BOTH = READABLE_PAYLOADS | {NEWER}
OLDEST = b"p"
"""The payload's field in version 1."""

PUT_OFF_COMMANDS = 5
"""MULTI, XADD, XACK, XDEL, EXEC."""
MOVE_BACK_COMMANDS = 7
"""XLEN, WATCH, XRANGE, MULTI, XADD, XDEL, EXEC."""


def process(rig: Rig, *, actor: str = "act", readable: frozenset[bytes] = READABLE_PAYLOADS) -> Seen:
    """A running process that understands messages for this actor."""
    seen = Seen()
    broker = rig.engine_broker(actor, readable=readable)
    rig.actor(broker, seen, name=actor)
    rig.work(broker)
    return seen


def wait_until_put_off(rig: Rig, count: int = 1) -> None:
    """Until so many messages have been put off, and the queue is empty."""
    wait_until(lambda: len(rig.put_off()) == count and rig.length() == 0)


def put_off_directly(rig: Rig, *payloads: bytes, actor: str = "act") -> None:
    """These have been put off by some process."""
    for payload in payloads:
        rig.client.xadd(later_key(QUEUE), {ACTOR: actor, PAYLOAD: payload})


def mover_of(rig: Rig, actors: Container[str], client: redis.Redis | None = None) -> PutOffMessages:
    """What moves messages for these actors back, in a process of its own."""
    return PutOffMessages(ConsumerGroup(client or rig.client, "it", lease_ms=60_000), Understood(actors))


def mover(rig: Rig, actor: str) -> PutOffMessages:
    """What moves messages for this actor back, in a process of its own."""
    return mover_of(rig, {actor})


def payloads(rig: Rig) -> list[bytes]:
    """What waits in the queue."""
    return [fields[PAYLOAD] for fields in rig.fields()]


@pytest.mark.proves("message-not-understood")
def test_a_message_of_a_newer_version_waits_for_a_process_that_reads_it(rig: Rig) -> None:
    """The old process puts it off; the new one moves it back and gets it, as if nobody had had it."""
    process(rig)
    rig.send(rig.broker(), b"new", field=NEWER)
    wait_until_put_off(rig)
    assert rig.put_off() == [{ACTOR: b"act", NEWER: b"new"}]
    newer = process(rig, readable=BOTH)
    wait_until(lambda: newer.payloads == [b"new"] and rig.length() == 0)
    assert (newer.deliveries, rig.put_off(), rig.dead()) == ([(1,)], [], [])


def test_a_message_for_an_actor_of_newer_processes_waits_for_one(rig: Rig) -> None:
    """The old process puts it off, however often it is moved back; the new one gets it."""
    process(rig)
    rig.send(rig.broker(), b"x", actor="newer")
    wait_until_put_off(rig)
    newer = process(rig, actor="newer")
    wait_until(lambda: newer.payloads == [b"x"] and rig.length() == 0)
    assert (newer.deliveries, rig.put_off(), rig.dead()) == ([(1,)], [], [])


def test_a_message_of_version_1_is_put_off(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays as it is; the log names queue, actor and version."""
    process(rig)
    rig.send(rig.broker(), b"old", field=OLDEST)
    wait_until_put_off(rig)
    assert rig.put_off() == [{ACTOR: b"act", OLDEST: b"old"}]
    assert rig.pending() == {}
    [line] = [line for line in capsys.readouterr().out.splitlines() if "broker.message_put_off" in line]
    assert all(word in line for word in ("warning", f"queue={QUEUE}", "actor=act", "version=1"))


def test_other_messages_are_processed_before_and_after(rig: Rig) -> None:
    """More of what nobody understands than a process takes at once holds nothing up."""
    broker = rig.broker()
    rig.send(broker, b"first")
    rig.send(broker, *[b"new %d" % number for number in range(50)], field=NEWER)
    rig.send(broker, *[b"x %d" % number for number in range(50)], actor="nobody")
    rig.send(broker, b"last")
    seen = process(rig)
    wait_until(lambda: len(seen.payloads) == 2)
    wait_until_put_off(rig, 100)
    assert (seen.payloads, rig.dead()) == ([b"first", b"last"], [])


@pytest.mark.proves("message-not-understood")
def test_nothing_is_given_up_for_not_being_understood(rig: Rig) -> None:
    """A task that has been delivered far too often is put off by a process that cannot read it: its node is
    not failed, and there is no dead letter."""
    limited = ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, 0))
    broker, seen = rig.engine_broker("run_node", policy=limited), Seen()
    rig.actor(broker, seen, name="run_node")
    rig.send(broker, encoded(), actor="run_node", field=NEWER)
    rig.send(broker, encoded(), actor="newer")
    rig.take_as("gone", count=2, deliveries=40)
    rig.work(broker)
    wait_until_put_off(rig, 2)
    assert (rig.dead(), rig.length(ORCHESTRATOR_QUEUE), rig.pending(), seen.calls) == ([], 0, {}, [])


@pytest.mark.proves("message-not-understood")
def test_putting_off_cut_anywhere_happens_whole_or_not_at_all(rig: Rig) -> None:
    """The message is in its queue, pending, or beside it: never in both, never in neither."""
    for way in WAYS:
        for at in range(1, PUT_OFF_COMMANDS + 2):
            rig.client.flushall()
            rig.send(rig.broker(), b"x", field=NEWER)
            gate = Gate(at=at, way=way)
            said = was_put_off(rig, gate)
            where = f"{way} at {at} ({gate.struck})"
            assert (rig.length(), len(rig.pending()), len(rig.put_off())) in ((1, 1, 0), (0, 0, 1)), where
            assert said == (gate.struck is None), where
            assert rig.put_off() or not said, where
        assert gate.struck is None, "not every command was tried"


def was_put_off(rig: Rig, gate: Gate) -> bool:
    """Whether a process that passes this gate says that it has put the message off."""
    client = Line("worker", gate).connect(rig.server.url)
    [entry] = rig.take_as("cut")
    try:
        fields = [ACTOR, b"act", NEWER, b"x"]
        put_off(ConsumerGroup(client, "cut", lease_ms=1000), QUEUE, Entry(entry, 1, "act", b"x", fields))
    except (ProcessDied, redis.ConnectionError):
        return False
    finally:
        client.close()
    return True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a dead process's UNWATCH
@pytest.mark.proves("message-not-understood")
def test_moving_back_cut_anywhere_happens_whole_or_not_at_all(rig: Rig) -> None:
    """The message is in its queue or beside it, and the next look moves it if this one did not."""
    for way in WAYS:
        for at in range(1, MOVE_BACK_COMMANDS + 2):
            rig.client.flushall()
            put_off_directly(rig, b"x")
            gate = Gate(at=at, way=way)
            client = Line("worker", gate).connect(rig.server.url)
            moved = mover_of(rig, {"act"}, client)
            try:
                moved.move_back(QUEUE)
            except (ProcessDied, redis.RedisError):
                assert gate.struck is not None
            where = f"{way} at {at} ({gate.struck})"
            assert (rig.length(), len(rig.put_off())) in ((1, 0), (0, 1)), where
            lives = gate.struck is not None and not gate.kills
            (moved if lives else mover(rig, "act")).move_back(QUEUE)
            client.close()
            assert (payloads(rig), rig.put_off()) == ([b"x"], []), where
        assert gate.struck is None, "not every command was tried"


class Meanwhile:
    """Knows every actor; at the first question something else happens."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens: Callable[[], None] | None = happens

    def __contains__(self, name: object) -> bool:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return True


def test_of_two_processes_one_moves_each_message(rig: Rig) -> None:
    """What another has moved between the look and the transaction is not moved again."""
    put_off_directly(rig, b"x", b"y")
    other = mover(rig, "act")
    mover_of(rig, Meanwhile(lambda: other.move_back(QUEUE))).move_back(QUEUE)
    assert (payloads(rig), rig.put_off()) == ([b"x", b"y"], [])


def test_what_is_put_off_meanwhile_is_not_lost(rig: Rig) -> None:
    """A message that arrives between the look and the transaction is moved with the others."""
    put_off_directly(rig, b"x")
    mover_of(rig, Meanwhile(lambda: put_off_directly(rig, b"y"))).move_back(QUEUE)
    assert (payloads(rig), rig.put_off()) == ([b"x", b"y"], [])


def test_a_turn_moves_a_bounded_number(rig: Rig) -> None:
    """The thread that does it has leases to keep."""
    most = PAGE * PAGES_A_TURN
    put_off_directly(rig, *[b"%d" % number for number in range(most + 1)])
    moving = mover(rig, "act")
    moving.move_back(QUEUE)
    assert (rig.length(), len(rig.put_off())) == (most, 1)
    moving.move_back(QUEUE)
    assert payloads(rig) == [b"%d" % number for number in range(most + 1)]


def test_what_is_not_understood_hides_nothing_behind_it(rig: Rig) -> None:
    """More than a turn's messages for others do not keep back the ones that this process understands."""
    put_off_directly(rig, *[b"x"] * (PAGE * PAGES_A_TURN), actor="others")
    put_off_directly(rig, b"mine")
    moving = mover(rig, "act")
    moving.move_back(QUEUE)
    moving.move_back(QUEUE)
    assert payloads(rig) == [b"mine"]
    assert len(rig.put_off()) == PAGE * PAGES_A_TURN


def test_messages_are_found_after_the_server_has_lost_them_all(rig: Rig) -> None:
    """A stream that begins anew is looked at from its beginning, whatever its ids."""
    moving = mover(rig, "act")
    put_off_directly(rig, b"x", actor="others")
    moving.move_back(QUEUE)
    rig.client.flushall()
    moving.move_back(QUEUE)
    rig.client.xadd(later_key(QUEUE), {ACTOR: b"act", PAYLOAD: b"earlier"}, id="1-1")
    moving.move_back(QUEUE)
    assert payloads(rig) == [b"earlier"]


def test_an_empty_stream_costs_one_command(rig: Rig) -> None:
    """Every process asks, at every turn, for every queue."""
    rig.client.config_resetstat()
    mover(rig, "act").move_back(QUEUE)
    stats = rig.client.info("commandstats")
    called = {name: figures["calls"] for name, figures in stats.items() if "config" not in name}
    assert called == {"cmdstat_xlen": 1}


def test_a_stranger_in_the_stream_stays_there(rig: Rig) -> None:
    """What is no message at all stops nothing."""
    rig.client.xadd(later_key(QUEUE), {"x": "?"})
    put_off_directly(rig, b"x")
    mover(rig, "act").move_back(QUEUE)
    assert (payloads(rig), rig.put_off()) == ([b"x"], [{b"x": b"?"}])


@pytest.fixture
def own_rig(private_valkey: Callable[..., Valkey]) -> Iterator[Rig]:
    """A rig on a server of its own, whose settings may be changed."""
    made = Rig(private_valkey())
    yield made
    made.close()


def test_a_server_that_takes_no_writes_stops_nobody(own_rig: Rig) -> None:
    """The thread that keeps leases goes on; the messages are moved once the server takes writes again."""
    rig = own_rig
    put_off_directly(rig, b"x")
    moving = mover(rig, "act")
    rig.client.config_set("min-replicas-to-write", 1)
    moving.move_back(QUEUE)
    assert (rig.length(), len(rig.put_off())) == (0, 1)
    rig.client.config_set("min-replicas-to-write", 0)
    moving.move_back(QUEUE)
    assert (payloads(rig), rig.put_off()) == ([b"x"], [])


def test_flush_drops_what_was_put_off(rig: Rig) -> None:
    """Every message of the queue means these as well."""
    broker: StreamsBroker = rig.engine_broker()
    put_off_directly(rig, b"x")
    rig.send(broker, b"y")
    broker.flush(QUEUE)
    assert not rig.client.exists(stream_key(QUEUE), later_key(QUEUE))
