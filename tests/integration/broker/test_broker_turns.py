"""A queue and the crowd behind it: both are read by one command, and take turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.consumer import StreamsConsumer
from flowengine.broker.delivery import Delivery
from flowengine.broker.policy import ActorPolicy
from flowengine.queues import async_line, crowd_line, high_line, low_line
from tests.support.rigs.broker_rig import QUEUE, Rig, Seen, encoded

CROWD = crowd_line(QUEUE)


class Turns:
    """The consumer of a queue of workers, whose turns the test takes."""

    def __init__(self, rig: Rig, *, queue: str = QUEUE, threads: int = 2, concurrency: int = 2) -> None:
        self.rig = rig
        self.queue = queue
        self.broker: StreamsBroker = rig.engine_broker("run_node", policy=ActorPolicy())
        rig.actor(self.broker, Seen(), name="run_node")
        self.broker.declare_queue(async_line(QUEUE))
        self.broker.held_messages.open(threads, concurrency)
        self.broker.begin_async = self.begin
        self.begun: list[str] = []
        self.consumer: StreamsConsumer = self.broker.consume(queue)

    def begin(self, taken: Sequence[Delivery]) -> list[Delivery]:
        """Nodes that need no thread."""
        self.begun += [each.held()[0].payload.node for each in taken]
        return []

    def send(self, queue: str, *nodes: str) -> None:
        """Nodes in a stream."""
        self.rig.send(self.broker, *map(encoded, nodes), actor="run_node", queue=queue)

    def next(self) -> str:
        """The node that a thread is given next; it ends at once."""
        delivery = next(self.consumer)
        while delivery is None:
            delivery = next(self.consumer)
        assert isinstance(delivery, Delivery)
        node: str = delivery.held()[0].payload.node
        self.broker.held_messages.start(delivery)
        pipe = self.broker.group.client.pipeline(transaction=True)
        delivery.acknowledge(pipe, [0])
        pipe.execute()
        delivery.confirm([0])
        self.broker.held_messages.finish(delivery)
        return node


def test_a_node_does_not_wait_for_the_crowd(rig: Rig) -> None:
    """It comes after what was fetched with it at most, however many are in the crowd."""
    turns = Turns(rig)
    turns.send(CROWD, *(f"c{at}" for at in range(100)))
    assert [turns.next() for _ in range(4)] == ["c0", "c1", "c2", "c3"]
    turns.send(QUEUE, "own")
    assert "own" in [turns.next() for _ in range(4)]


def test_queue_and_crowd_take_turns(rig: Rig) -> None:
    """Neither starves while there is something in both."""
    turns = Turns(rig)
    turns.send(CROWD, *(f"c{at}" for at in range(60)))
    turns.send(QUEUE, *(f"q{at}" for at in range(60)))
    first = [turns.next() for _ in range(40)]
    assert 15 <= sum(node.startswith("q") for node in first) <= 25
    rest = [turns.next() for _ in range(80)]
    assert sorted([*first, *rest]) == sorted(
        [*(f"c{at}" for at in range(60)), *(f"q{at}" for at in range(60))]
    )


@pytest.mark.parametrize("room", [1, 2, 7])
def test_async_line_takes_no_more_than_there_is_room_for(rig: Rig, room: int) -> None:
    """`--concurrency` holds with a crowd as well, and both have their turns."""
    line = async_line(QUEUE)
    turns = Turns(rig, queue=line, concurrency=room)
    turns.send(line, *(f"q{at}" for at in range(20)))
    turns.send(crowd_line(line), *(f"c{at}" for at in range(20)))
    held = turns.broker.held_messages
    while len(turns.begun) < 10:
        next(turns.consumer)
        assert held.busy_async <= room
        for delivery in held.all_async():
            held.finish(delivery)
    assert {node[0] for node in turns.begun} == {"q", "c"}


def test_what_a_dead_worker_held_of_a_crowd_is_taken_over(rig: Rig) -> None:
    """With its lease, and counted."""
    turns = Turns(rig)
    turns.send(CROWD, "lost")
    rig.take_as("gone", queue=CROWD)
    assert turns.next() == "lost"


def test_a_worker_that_leaves_is_seen_in_neither(rig: Rig) -> None:
    """Who sends a crowd asks who reads it."""
    turns = Turns(rig)
    turns.send(CROWD, "c")
    assert turns.next() == "c"
    mine = turns.broker.group.consumer
    for line in (QUEUE, CROWD):
        assert mine in [each["name"] for each in turns.broker.group.consumers(line)]
    turns.broker.leave()
    for line in (QUEUE, CROWD):
        assert mine not in [each["name"] for each in turns.broker.group.consumers(line)]


@pytest.mark.proves("priority-shares")
def test_high_goes_first_and_low_gets_one_in_ten(rig: Rig) -> None:
    """Counted by what begins, where hundreds wait in each line."""
    turns = Turns(rig)
    for line, name in ((low_line(QUEUE), "l"), (QUEUE, "q"), (high_line(QUEUE), "h")):
        turns.send(line, *(f"{name}{at}" for at in range(200)))
    first = Counter(turns.next()[0] for _ in range(200))
    assert first["h"] > first["q"] > first["l"] >= 15
    assert abs(first["h"] - 2 * first["q"]) <= 20
    rest = Counter(turns.next()[0] for _ in range(400))
    assert first + rest == {"h": 200, "q": 200, "l": 200}


@pytest.mark.proves("priority-shares")
def test_a_node_of_high_priority_does_not_wait_for_a_flood(rig: Rig) -> None:
    """It begins with the next read, however many of others wait."""
    turns = Turns(rig)
    turns.send(QUEUE, *(f"q{at}" for at in range(100)))
    turns.send(low_line(QUEUE), *(f"l{at}" for at in range(100)))
    for _ in range(10):
        turns.next()
    turns.send(high_line(QUEUE), "own")
    assert "own" in [turns.next() for _ in range(6)]


@pytest.mark.proves("priority-lines")
def test_one_read_looks_at_all_lines(rig: Rig) -> None:
    """A chain of normal executions costs no command more, whatever lines there are."""
    turns = Turns(rig)
    turns.send(QUEUE, "warm")
    assert turns.next() == "warm"
    reads = rig.client.info("commandstats")["cmdstat_xreadgroup"]["calls"]
    for at in range(20):
        turns.send(QUEUE, f"q{at}")
        assert turns.next() == f"q{at}"
    after = rig.client.info("commandstats")["cmdstat_xreadgroup"]["calls"]
    assert after - reads <= 20 + 4  # and signs of life, should the test take seconds


@pytest.mark.parametrize("room", [1, 2, 7])
def test_no_more_begins_than_there_is_room_for_with_all_lines_full(rig: Rig, room: int) -> None:
    """Of async handlers; what is read beyond that is handed back uncounted, and nothing is lost."""
    line = async_line(QUEUE)
    turns = Turns(rig, queue=line, concurrency=room)
    for each in (line, crowd_line(line), high_line(line), low_line(line)):
        turns.send(each, *(f"{each}-{at}" for at in range(6)))
    held = turns.broker.held_messages
    for _ in range(200):
        next(turns.consumer)
        assert held.busy_async <= room
        pipe = turns.broker.group.client.pipeline(transaction=True)
        for delivery in held.all_async():
            delivery.acknowledge(pipe, [0])
            delivery.confirm([0])
            held.finish(delivery)
        pipe.execute()
        if len(turns.begun) == 24:
            break
    assert sorted(turns.begun) == sorted(set(turns.begun))
    assert len(turns.begun) == 24


@pytest.mark.proves("priority-lines")
def test_what_a_dead_worker_held_of_another_priority_is_taken_over(rig: Rig) -> None:
    """With its lease, and counted."""
    turns = Turns(rig)
    for line in (high_line(QUEUE), low_line(QUEUE)):
        turns.send(line, line)
        rig.take_as("gone", queue=line)
    assert {turns.next(), turns.next()} == {high_line(QUEUE), low_line(QUEUE)}
