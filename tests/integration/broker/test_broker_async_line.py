"""The line of async handlers: what it takes is begun once, moved, or back in the line, whatever fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
import pytest
import redis

from flowengine.broker import async_consumer
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.consumer import StreamsConsumer
from flowengine.broker.delivery import Delivery
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.dramatiq_messages import encode_message
from flowengine.broker.streams.wire import MESSAGE
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback
from flowengine.execution.rules.deadlines import worker_lost
from flowengine.queues import GROUP, async_line, crowd_line, stream_key
from tests.support.rigs.broker_rig import LEASE_S, QUEUE, Rig, Seen, encoded
from tests.support.waiting import wait_until

LINE = async_line(QUEUE)


class Line:
    """The consumer of one line, whose turns the test takes, and what it has begun."""

    def __init__(
        self, rig: Rig, on_dead: Callable[[Any, int], Callback] | None = None, *, lease_s: float = LEASE_S
    ) -> None:
        self.rig = rig
        policy = ActorPolicy(on_dead=on_dead)
        self.broker: StreamsBroker = rig.engine_broker("run_node", policy=policy, lease_s=lease_s)
        rig.actor(self.broker, Seen(), name="run_node")
        self.broker.declare_queue(LINE)
        self.broker.held_messages.open(1, 10)
        self.broker.begin_async = self.begin
        self.begun: list[str] = []
        self.consumer: StreamsConsumer = self.broker.consume(LINE)

    def begin(self, taken: Sequence[Delivery]) -> list[Delivery]:
        """Nodes called `thread` need one."""
        nodes = {each: each.held()[0].payload.node for each in taken}
        self.begun += [node for node in nodes.values() if node != "thread"]
        return [each for each, node in nodes.items() if node == "thread"]

    def send(self, *nodes: str) -> None:
        """Nodes in the line."""
        self.rig.send(self.broker, *map(encoded, nodes), actor="run_node", queue=LINE)

    @property
    def held(self) -> int:
        """How many messages the process holds for handlers that wait."""
        return self.broker.held_messages.busy_async


def test_a_node_that_cannot_be_moved_takes_no_other_with_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes that came with it have begun: handed back, they would run a second time, elsewhere."""

    def is_away(*_: object) -> None:
        raise redis.ConnectionError("away")

    line = Line(rig)
    line.send("a", "thread", "b")
    with monkeypatch.context() as patched:
        patched.setattr(async_consumer, "move_into_queue", is_away)
        next(line.consumer)
    assert (line.begun, line.held) == (["a", "b"], 2)
    assert counts(rig) == [0, 1, 1]


def test_what_arrives_as_the_process_stops_goes_back_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never begins here, so a stop that waited for it would take its whole grace."""
    line = Line(rig)
    line.send("a")
    read = line.consumer._read

    def stop_while_reading(most: int) -> Any:
        found = read(most)
        line.broker.held_messages.stop()
        return found

    monkeypatch.setattr(line.consumer, "_read", stop_while_reading)
    next(line.consumer)
    assert (line.begun, line.held) == ([], 0)
    assert counts(rig) == [0]


def test_an_error_between_fetch_and_begin_keeps_nothing_in_hand(rig: Rig) -> None:
    """What came with a message that cannot be buried now would be held for ever, and run by nobody."""

    def cannot_tell(task: Any, starts: int) -> Callback:
        raise StoreUnavailableError("the time is not known")

    line = Line(rig, cannot_tell)
    line.send("good", "exhausted")
    rig.take_as("gone", queue=LINE)
    rig.take_as("gone", queue=LINE, deliveries=3)
    wait_until(lambda: next(line.consumer) or 4 in counts(rig), what="both are taken over")
    assert (line.begun, line.held) == ([], 0)


def counts(rig: Rig) -> list[int]:
    """How often what is pending in the line was delivered."""
    return sorted(count for _, count in rig.pending(LINE).values())


def test_what_is_no_node_goes_into_the_queue(rig: Rig) -> None:
    """It belongs to Dramatiq's threads, and must not take down what came with it."""
    line = Line(rig)
    ordinary: dramatiq.Message[None] = dramatiq.Message(
        queue_name=LINE, actor_name="x", args=(), kwargs={}, options={}
    )
    rig.client.xadd(stream_key(LINE), {MESSAGE: encode_message(ordinary)})
    line.send("a")
    next(line.consumer)
    assert (line.begun, line.held) == (["a"], 1)
    assert (rig.length(QUEUE), rig.length(LINE)) == (1, 1)


def test_what_has_lapsed_is_found_at_once_behind_what_five_processes_hold(rig: Rig) -> None:
    """A thousand nodes that wait for long are older: a look at 256 would come to it seconds later."""
    line = Line(rig, lease_s=3600.0)
    line.send(*["long"] * 1000, "lapsed")
    *_, last = rig.take_as("works", queue=LINE, count=1001)
    rig.client.xclaim(stream_key(LINE), GROUP, "gone", 0, [last], idle=3_600_000, justid=True)
    assert [entry for (entry, _), _ in line.consumer._recoverer.take(10)] == [last]


def test_a_worker_enters_the_line_before_the_queue(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who dispatches would take it for one of a version before, and never use the line."""
    broker = rig.engine_broker("run_node")
    rig.actor(broker, Seen(), name="run_node")
    broker.declare_queue(LINE)
    broker.held_messages.open(1, 10)
    consumer = broker.consume(QUEUE)
    entered: list[str] = []

    def note(self: Any, lines: Sequence[str], *_: Any) -> dict[str, Any]:
        for line in (LINE, crowd_line(QUEUE)):
            found = rig.client.xinfo_consumers(stream_key(line), GROUP)
            entered.extend(each["name"].decode() for each in found)
        return {}

    monkeypatch.setattr("flowengine.broker.streams.consumer_group.ConsumerGroup.read_lines", note)
    next(consumer)
    assert entered == 2 * [broker.group.consumer.decode()]


@pytest.mark.proves("suspects-many")
def test_suspects_begin_alone_and_then_more_at_once(rig: Rig) -> None:
    """Seven nodes were in two crashes: one runs alone, then two, then four. Only the first is counted: what
    is taken beside others would come to the limit by a killer among them."""
    line = Line(rig, lambda task, starts: worker_lost(task, starts, 0))
    nodes = [f"n{number}" for number in range(7)]
    line.send(*nodes)
    rig.take_as("gone", queue=LINE, count=7, deliveries=2)
    found = []
    for held in (1, 2, 4):
        until = time.monotonic() + 15
        while line.held < held and time.monotonic() < until:
            next(line.consumer)
        next(line.consumer)
        assert line.held == held
        mine = {count for holder, count in rig.pending(LINE).values() if holder == line.broker.group.consumer}
        found.append((held, mine))
        for delivery in line.broker.held_messages.all_async():
            rig.client.xack(stream_key(LINE), GROUP, *[entry.id for entry in delivery.entries])
            delivery.confirm([0])
            line.broker.let_go([delivery])
    assert found == [(1, {3}), (2, {2}), (4, {2})]
    assert sorted(line.begun) == nodes
