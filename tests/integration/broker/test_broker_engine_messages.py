"""Messages of the engine's actors: receipts, joining, hand-backs, limits."""

from __future__ import annotations

from collections.abc import Sequence

import dramatiq
import msgspec
import pytest
import redis

from flowengine.broker.errors import NoMessageError
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import ACTOR, PAYLOAD, post
from flowengine.broker.timing import Timing
from flowengine.engine.held import Held, HeldTogether
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import RunNode
from flowengine.execution.rules.deadlines import worker_lost
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE, stream_key
from tests.support.rigs.broker_rig import QUEUE, Rig, Seen, encoded, task
from tests.support.waiting import wait_until

LIMITED = ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, 0))


class HeldActor:
    """An actor of tasks that notes what it holds, and acknowledges it unless `act` is overridden."""

    def __init__(self, rig: Rig, *, join: int = 4) -> None:
        self.broker = rig.engine_broker("run_node", policy=ActorPolicy(join=join))
        self.calls: list[list[str]] = []
        self.deliveries: list[list[int]] = []
        self.held: list[Held[RunNode]] = []
        dramatiq.actor(actor_name="run_node", queue_name=QUEUE, broker=self.broker)(self._act)

    def _act(self, payloads: list[bytes]) -> None:
        held = self.broker.held()
        self.held += held
        self.deliveries.append([each.delivery for each in held])
        self.calls.append([each.payload.node for each in held])
        self.act(held)

    def act(self, held: Sequence[Held[RunNode]]) -> None:
        """Acknowledge them all."""
        self.acknowledge(held)

    def acknowledge(self, held: Sequence[Held[RunNode]]) -> None:
        """As the engine does, in a transaction."""
        together = HeldTogether(held)
        pipe = self.broker.group.client.pipeline(transaction=True)
        together.acknowledge(pipe)
        pipe.execute()
        together.confirm()


def test_message_reaches_its_actor_as_a_list_of_one(rig: Rig) -> None:
    """An engine actor gets its payload in a list, and its receipt says that it is the first delivery."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.send(broker, b"one")
    wait_until(lambda: seen.calls)
    assert (seen.calls, seen.deliveries) == ([(b"one",)], [(1,)])


def test_acknowledged_message_leaves_nothing_behind(rig: Rig) -> None:
    """Once the engine's transaction has acknowledged, neither the entry nor a pending record is left."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.send(broker, b"one")
    wait_until(lambda: seen.calls and rig.length() == 0)
    assert rig.pending() == {}


def test_send_joins_the_callers_transaction(rig: Rig) -> None:
    """A message sent in a transaction that is given up is never sent."""
    pipe = rig.client.pipeline(transaction=True)
    post(pipe, QUEUE, task())
    pipe.reset()
    assert rig.length() == 0


def test_what_the_engine_sends_its_actor_holds(rig: Rig) -> None:
    """The struct that was sent arrives, and is told how often it was delivered and where it stands."""
    actor = HeldActor(rig)
    post(rig.client, QUEUE, task("a"))
    rig.work(actor.broker)
    wait_until(lambda: actor.held and rig.length() == 0)
    [held] = actor.held
    consumer = actor.broker.group.consumer.decode()
    assert (held.payload, held.delivery) == (task("a"), 1)
    assert held.place.endswith(f"-0/{consumer}")


def test_receipt_outside_a_message_is_refused(rig: Rig) -> None:
    """A thread that processes no message has nothing to acknowledge."""
    with pytest.raises(NoMessageError):
        rig.engine_broker().receipt()


def test_unacknowledged_message_comes_back_counted_and_not_at_once(rig: Rig) -> None:
    """An actor that returns without acknowledging gets the message again, after a pause, as a redelivery."""
    broker, seen = rig.engine_broker(lease_s=3.0), Seen()
    rig.actor(broker, seen, acknowledge=False)
    rig.work(broker)
    rig.send(broker, b"again")
    wait_until(lambda: len(seen.calls) >= 2)
    assert seen.deliveries[:2] == [(1,), (2,)]


def test_outage_does_not_count_as_a_delivery(rig: Rig) -> None:
    """A message whose processing failed because Redis was away comes back as if for the first time."""
    broker, seen = rig.engine_broker(policy=LIMITED), Seen()
    rig.actor(broker, seen, raises=lambda: StoreUnavailableError("away"))
    rig.work(broker)
    rig.send(broker, b"again")
    wait_until(lambda: len(seen.calls) >= 2)
    assert seen.deliveries[:2] == [(1,), (1,)]


def test_waiting_messages_are_joined_in_order(rig: Rig) -> None:
    """What waits for a joining actor arrives as one list, in the order in which it was sent."""
    broker, seen = rig.engine_broker(policy=ActorPolicy(join=64)), Seen()
    rig.actor(broker, seen)
    payloads = [b"%d" % number for number in range(100)]
    rig.send(broker, *payloads)
    rig.work(broker, threads=1)
    wait_until(lambda: rig.length() == 0)
    assert seen.payloads == payloads
    assert 1 < max(len(call) for call in seen.calls) <= 64


def test_joined_message_is_acknowledged_in_part(rig: Rig) -> None:
    """Of a joined message, what was not acknowledged comes back one by one, and only that."""

    class AcknowledgesTheSecond(HeldActor):
        def act(self, held: Sequence[Held[RunNode]]) -> None:
            self.acknowledge(held[1:2] if len(held) == 3 else held)

    actor = AcknowledgesTheSecond(rig)
    rig.send(actor.broker, encoded("a"), encoded("b"), encoded("c"), actor="run_node")
    rig.work(actor.broker)
    wait_until(lambda: rig.length() == 0)
    assert actor.calls[0] == ["a", "b", "c"]
    assert sorted(actor.calls[1:]) == [["a"], ["c"]]
    assert actor.deliveries[1:] == [[2], [2]]


def test_part_of_a_joined_message_is_handed_back(rig: Rig) -> None:
    """What an actor hands back unbegun comes again, as if it had never been delivered."""

    class HandsBackTheThird(HeldActor):
        def act(self, held: Sequence[Held[RunNode]]) -> None:
            self.acknowledge(held[:2])
            HeldTogether(held[2:]).hand_back()

    actor = HandsBackTheThird(rig)
    rig.send(actor.broker, encoded("a"), encoded("b"), encoded("c"), actor="run_node")
    rig.work(actor.broker)
    wait_until(lambda: rig.length() == 0)
    assert actor.calls == [["a", "b", "c"], ["c"]]
    assert actor.deliveries[1] == [1]


def test_large_payloads_are_not_joined(rig: Rig) -> None:
    """The payloads of one joined message stay within 4 MiB together."""
    broker, seen = rig.engine_broker(policy=ActorPolicy(join=64)), Seen()
    rig.actor(broker, seen)
    rig.send(broker, *[bytes([48 + number]) * 1_500_000 for number in range(6)])
    rig.work(broker, threads=1)
    wait_until(lambda: rig.length() == 0)
    assert max(sum(map(len, call)) for call in seen.calls) <= 4 * 1024 * 1024
    assert len(seen.payloads) == 6


def test_message_that_was_delivered_too_often_is_buried_and_told_of(rig: Rig) -> None:
    """At the limit a message goes to the dead letters, and its actor's last words are sent with it."""
    broker, seen = rig.engine_broker("run_node", policy=LIMITED, max_deliveries=3), Seen()
    rig.actor(broker, seen, name="run_node")
    rig.send(broker, encoded("killer"), actor="run_node")
    rig.take_as("gone", deliveries=3)
    rig.work(broker)
    wait_until(lambda: rig.dead())
    [dead] = rig.dead()
    assert (dead[PAYLOAD], dead[b"reason"], dead[b"deliveries"]) == (encoded("killer"), b"exhausted", b"3")
    last_words = msgspec.json.encode(worker_lost(task("killer"), 3, 0))
    assert rig.fields(ORCHESTRATOR_QUEUE) == [{ACTOR: b"node_finished", PAYLOAD: last_words}]
    assert (rig.length(), rig.pending(), seen.calls) == (0, {}, [])


def test_last_words_that_cannot_be_found_do_not_stop_the_burial(rig: Rig) -> None:
    """A payload that cannot be decoded is buried without a callback."""
    broker, seen = rig.engine_broker("run_node", policy=LIMITED, max_deliveries=1), Seen()
    rig.actor(broker, seen, name="run_node")
    rig.send(broker, b"garbage", actor="run_node")
    rig.take_as("gone")
    rig.work(broker)
    wait_until(lambda: rig.dead())
    assert (rig.length(), rig.length(ORCHESTRATOR_QUEUE)) == (0, 0)


def test_unlimited_message_is_never_buried(rig: Rig) -> None:
    """Without `on_dead` a message is delivered for as long as it takes, alone."""
    broker, seen = rig.engine_broker(policy=ActorPolicy(join=8)), Seen()
    rig.actor(broker, seen)
    rig.send(broker, b"a", b"b")
    rig.take_as("gone", count=2, deliveries=40)
    rig.work(broker)
    wait_until(lambda: rig.length() == 0)
    assert sorted(seen.calls) == [(b"a",), (b"b",)]
    assert seen.deliveries == [(41,), (41,)]


def test_what_a_dead_worker_held_starts_again_together(rig: Rig) -> None:
    """After one crash nothing is suspected: all messages of a dead process run side by side."""
    broker, seen = rig.engine_broker(policy=LIMITED), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"a", b"b", b"c")
    rig.take_as("gone", count=3)
    rig.work(broker, threads=4)
    wait_until(lambda: len(seen.calls) == 3)
    assert seen.deliveries == [(2,), (2,), (2,)]


def test_only_one_suspect_is_in_hand(rig: Rig) -> None:
    """Of several messages whose workers died twice, a process runs one at a time, beside new ones."""
    broker, seen = rig.engine_broker(policy=LIMITED), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"a", b"b", b"c")
    rig.take_as("gone", count=3, deliveries=2)
    rig.work(broker, threads=4)
    wait_until(lambda: seen.calls)
    rig.send(broker, b"new", b"new")
    wait_until(lambda: len(seen.calls) == 3)
    held = [count for holder, count in rig.pending().values() if holder != b"gone"]
    assert sorted(held) == [1, 1, 3]
    seen.gate.set()
    wait_until(lambda: rig.length() == 0)
    assert sorted(seen.payloads) == [b"a", b"b", b"c", b"new", b"new"]


def test_handed_back_messages_are_not_suspected(rig: Rig) -> None:
    """Messages that a stopping process handed back are taken over together: none of them may be a killer."""
    broker, seen = rig.engine_broker(policy=LIMITED), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"a", b"b", b"c")
    ids = rig.take_as("gone", count=3)
    # fmt: off
    rig.client.execute_command(
        b"XCLAIM", stream_key(QUEUE), GROUP, "gone", 0, *ids, "IDLE", 5000, "RETRYCOUNT", 0, "JUSTID"
    )
    # fmt: on
    rig.work(broker, threads=4)
    wait_until(lambda: len(seen.calls) == 3)
    assert seen.deliveries == [(1,), (1,), (1,)]


def test_message_that_cannot_start_in_time_is_handed_back_uncounted(rig: Rig) -> None:
    """What was fetched ahead and finds every thread busy is another process's, long before its lease ends."""
    timing = Timing(ahead_s=10.0)  # fetched ahead on a machine of any speed
    busy, idle = (rig.engine_broker(policy=LIMITED, lease_s=6.0, timing=timing) for _ in range(2))
    stuck, seen = Seen(), Seen()
    rig.actor(busy, stuck, gated=True)
    rig.actor(idle, seen)
    rig.work(busy, threads=1)
    # Quick messages make the process fetch ahead; then one that takes long finds others behind it.
    stuck.gate.set()
    for _ in range(30):
        rig.send(busy, b"quick")
    wait_until(lambda: rig.length() == 0)
    stuck.gate.clear()
    rig.send(busy, b"1", b"2", b"3")
    wait_until(lambda: len(stuck.calls) == 31)
    assert len(rig.pending()) == 3
    rig.work(idle)
    wait_until(lambda: sorted(seen.payloads) == [b"2", b"3"])
    assert seen.deliveries == [(1,), (1,)]


def test_stop_hands_back_what_runs_and_what_waits_without_counting(rig: Rig) -> None:
    """A process that is told to stop leaves its messages to others, as if it had never had them."""
    broker, seen = rig.engine_broker(policy=LIMITED, lease_s=60.0), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"a", b"b")
    worker = rig.work(broker, threads=2)
    wait_until(lambda: len(seen.calls) == 2)
    rig.stop(worker, timeout_ms=100)
    assert [count for _, count in rig.pending().values()] == [0, 0]
    lapsed = rig.client.xpending_range(stream_key(QUEUE), GROUP, "-", "+", 10, idle=60_000)
    assert len(lapsed) == 2


def test_nothing_is_fetched_once_the_process_stops(rig: Rig) -> None:
    """While a stopping worker finishes what runs, new messages are left for others."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    rig.send(broker, b"first")
    wait_until(lambda: rig.length() == 0)
    broker.stop_fetching()
    rig.send(broker, b"late")
    other, later = rig.engine_broker(), Seen()
    rig.actor(other, later)
    rig.work(other)
    wait_until(lambda: later.payloads == [b"late"])
    assert seen.payloads == [b"first"]


def test_late_handler_still_acknowledges_after_its_process_let_go(rig: Rig) -> None:
    """A handler that outlives its worker's stop may finish: its acknowledgement removes the message."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen, gated=True)
    rig.send(broker, b"slow")
    worker = rig.work(broker, threads=1)
    wait_until(lambda: seen.calls)
    rig.stop(worker, timeout_ms=50)
    assert rig.length() == 1
    seen.gate.set()
    wait_until(lambda: rig.length() == 0)
    assert rig.pending() == {}


def test_one_actor_serves_several_queues(rig: Rig) -> None:
    """A queue without an actor of its own is served by the others' actors, with the same caution."""
    broker, seen = rig.engine_broker(policy=LIMITED), Seen()
    rig.actor(broker, seen)
    broker.declare_queue("second")
    rig.work(broker)
    rig.send(broker, b"x", queue="second")
    wait_until(lambda: seen.payloads == [b"x"])
    assert broker.is_cautious("second")


def test_running_message_is_not_taken_over(rig: Rig) -> None:
    """A message that takes longer than a lease stays with the process that runs it."""
    lease_s = 5.0
    broker, seen = rig.engine_broker(lease_s=lease_s), Seen()
    rig.actor(broker, seen, gated=True)
    other, theirs = rig.engine_broker(lease_s=lease_s), Seen()
    rig.actor(other, theirs)
    rig.send(broker, b"long")
    rig.work(broker)
    wait_until(lambda: seen.calls)
    rig.work(other)
    entry = next(iter(rig.pending()))
    since = redis_ms(rig.client)
    wait_until(lambda: redis_ms(rig.client) - since > 1.3 * lease_s * 1000)
    assert theirs.calls == []
    assert rig.pending()[entry][1] == 1


def redis_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.mark.proves("message-undecodable")
@pytest.mark.parametrize("unreadable", [b"{", b'"\xff"', b"[" * 100_000])
def test_payload_that_nobody_can_read_goes_to_the_dead_letters(rig: Rig, unreadable: bytes) -> None:
    """It is set aside alone; the messages that were joined with it come again and are processed."""
    actor = HeldActor(rig)
    rig.send(actor.broker, encoded("a"), unreadable, encoded("b"), actor="run_node")
    rig.work(actor.broker)
    wait_until(lambda: rig.length() == 0)
    [dead] = rig.dead()
    assert (dead[PAYLOAD], dead[b"reason"]) == (unreadable, b"undecodable")
    assert sorted(actor.calls) == [["a"], ["b"]]
    assert actor.deliveries == [[2], [2]]
