"""What the sweep does about a task that has vanished, while others go on meanwhile. Over fakeredis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from fakeredis import FakeRedis, FakeServer

from flowengine.broker.streams.wire import post
from flowengine.engine.commands.create import new_id
from flowengine.engine.maintenance.sweep import Sweep
from flowengine.execution.records import NodeRecord
from flowengine.queues import WORKER_QUEUE, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.codec import decode_record, encode_record
from flowengine.store.maintenance.sweep_reads import RedisSweepState
from flowengine.workflow.plan import encode_plan
from tests.support.rigs.harness import plan_of

NAMES = keys.of()
EXECUTION = new_id(1, "0" * 16, "")
SEEN = NodeRecord(status="queued", attempt=2, dispatch=3, queued_at=1, run=1)
"""A node in flight, whose task is in no queue."""


class Disturbed(RedisSweepState):
    """A state in which something happens after the sweep has read the nodes, and before it acts on them."""

    disturb: Callable[[], object] = staticmethod(lambda: None)

    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]:
        """As ever; then what the test wants, where it is the tasks that are looked for."""
        found = super().oldest_entries_ms(queues)
        if WORKER_QUEUE in queues:
            self.disturb()
        return found


class Rig:
    """One execution of one node, which has not moved for long."""

    def __init__(self) -> None:
        server = FakeServer()
        self.redis = FakeRedis(server=server, protocol=2)
        self.state = Disturbed(FakeRedis(server=server, protocol=2), post, Settings())
        self.redis.hset(NAMES.control(EXECUTION), mapping={"status": "running", "run": 1, "started_at": 1})
        self.redis.hset(NAMES.counts(EXECUTION), mapping={"unfinished": 1, "failed": 0})
        self.redis.set(NAMES.plan(EXECUTION), encode_plan(plan_of({"a": ()})))
        self.redis.zadd(NAMES.index("running"), {EXECUTION: 1})
        self.store(SEEN)

    def store(self, record: NodeRecord) -> None:
        """Somebody writes the node's record."""
        self.redis.hset(NAMES.node(EXECUTION, "a"), keys.STATE, encode_record(record))

    def swept(self) -> int:
        """How much two sweeps repair: the first only remembers where everything stands."""
        sweep = Sweep(self.state)
        return sweep.run() + sweep.run()

    @property
    def record(self) -> NodeRecord:
        """The node's."""
        value = self.redis.hget(NAMES.node(EXECUTION, "a"), keys.STATE)
        assert isinstance(value, bytes)
        return decode_record(value)

    @property
    def tasks(self) -> int:
        """How many have been sent."""
        return self.redis.xlen(stream_key(WORKER_QUEUE))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_task_that_has_vanished_is_sent_again(rig: Rig) -> None:
    """The same attempt, which nobody has made, by the next dispatch; its start and its timer go."""
    rig.redis.hset(NAMES.started(EXECUTION), keys.start_field("a", 3), "1:1:1-0/me")
    rig.redis.zadd(NAMES.deadlines, {keys.timer_member(EXECUTION, 1, "a", 3): 1})
    assert rig.swept() == 1
    assert (rig.record.status, rig.record.attempt, rig.record.dispatch) == ("queued", 2, 4)
    assert rig.tasks == 1
    assert not rig.redis.exists(NAMES.started(EXECUTION), NAMES.deadlines)


@pytest.mark.proves("handler-unknown")
def test_a_task_that_waits_for_its_handler_has_not_vanished(rig: Rig) -> None:
    """It stands in a line beside its queue. Another handler's line is no sign of it."""
    rig.redis.zadd(NAMES.handlers(WORKER_QUEUE), {"sum": 1})
    assert (rig.swept(), rig.tasks) == (0, 0)
    rig.redis.delete(NAMES.handlers(WORKER_QUEUE))
    rig.redis.zadd(NAMES.handlers(WORKER_QUEUE), {"other": 1})
    assert (rig.swept(), rig.tasks) == (1, 1)


@pytest.mark.parametrize(
    "meanwhile",
    [
        NodeRecord(status="completed", attempt=2, dispatch=3, run=1),
        NodeRecord(status="failed", attempt=2, dispatch=3, run=1),
        NodeRecord(status="queued", attempt=2, dispatch=4, queued_at=1, run=1),
    ],
    ids=["completed", "failed", "sent again"],
)
def test_nothing_is_sent_again_whose_record_has_changed_meanwhile(rig: Rig, meanwhile: NodeRecord) -> None:
    """What the sweep has read is not WATCHed: it reads the record again before it acts."""
    rig.state.disturb = lambda: rig.store(meanwhile)
    assert rig.swept() == 0
    assert (rig.record, rig.tasks) == (meanwhile, 0)


@pytest.mark.parametrize("status", ["paused", "cancelling", "completed", "failed", "cancelled"])
def test_nothing_is_sent_again_where_the_execution_forbids_it_meanwhile(rig: Rig, status: str) -> None:
    """It was stopped, say, since the sweep has looked."""
    rig.state.disturb = lambda: rig.redis.hset(NAMES.control(EXECUTION), "status", status)
    assert rig.swept() == 0
    assert (rig.record, rig.tasks) == (SEEN, 0)
