"""What follows a change, and what forbids it: looked at anew in each transaction, over fakeredis."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import msgspec
import pytest
from fakeredis import FakeRedis, FakeServer

from flowengine.broker.streams.wire import post
from flowengine.engine.advancing.follow_up import TRIES, Follow, FollowUp
from flowengine.engine.held import Sink
from flowengine.engine.ports import Reading
from flowengine.errors import ConflictError
from flowengine.execution.records import NodeRecord
from flowengine.execution.rules.descent import EVERYTHING
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus, StoredNodeStatus
from flowengine.queues import WORKER_QUEUE, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.codec import decode_record, encode_record
from flowengine.store.committing.transaction import RedisUnit
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan, encode_plan
from tests.support.rigs.harness import plan_of
from tests.unit.rules.world import ruled, with_policies

NAMES = keys.of()
PLAN = plan_of({"a": (), "b": (), "c": ()})
RUN = Run("x", 2, "c")
FOLLOW = Follow(RUN, PLAN, (0, 1, 2))
CHAIN = plan_of({"a": (), "b": ("a",)})
OTHER_STATUSES: Sequence[ExecutionStatus] = [
    status for status in ALL_EXECUTION_STATUSES if status != "running"
]


class Disturbed(RedisState):
    """A state in which something happens between a unit's reads and its writes."""

    disturb: Callable[[], object] = staticmethod(lambda: None)

    def begin(self, reading: Reading, *, commits: bool = False, exact_time: bool = False) -> RedisUnit:
        """As ever; then what the test wants."""
        unit = super().begin(reading, commits=commits, exact_time=exact_time)
        self.disturb()
        return unit


class Rig:
    """Execution `x` runs for the second time; nobody has begun anything of it."""

    def __init__(self, sizes: Sizes = SIZES) -> None:
        server = FakeServer()
        self.redis = FakeRedis(server=server, protocol=2)
        self.state = Disturbed(FakeRedis(server=server, protocol=2), post, Settings())
        self.follow_up = FollowUp(self.state, sizes)
        self.add("x", PLAN, 3)

    def add(self, execution: str, plan: Plan, unfinished: int) -> None:
        """An execution that runs for the second time."""
        self.redis.hset(NAMES.control(execution), mapping={"status": "running", "run": 2})
        self.redis.hset(NAMES.counts(execution), mapping={"unfinished": unfinished, "failed": 0})
        self.redis.set(NAMES.plan(execution), encode_plan(plan))

    def put(self, execution: str, node: str, record: NodeRecord) -> None:
        """Its record is this."""
        self.redis.hset(NAMES.node(execution, node), keys.STATE, encode_record(record))

    def follow(self, *follows: Follow, ending: Sequence[Run] = ()) -> None:
        """Carry it out, with an acknowledgement that leaves a mark."""
        self.follow_up.carry_out(follows, acknowledge, ending)

    @property
    def acknowledged(self) -> int:
        """How often."""
        return int(self.redis.get("acknowledged") or 0)

    @property
    def tasks(self) -> int:
        """How many have been sent."""
        return self.redis.xlen(stream_key(WORKER_QUEUE))

    @property
    def status(self) -> str:
        """The execution's."""
        return (self._field(NAMES.control("x"), "status") or b"").decode()

    def record(self, node: str) -> NodeRecord:
        """A node's."""
        return decode_record(self._field(NAMES.node("x", node), keys.STATE))

    def _field(self, key: str, field: str) -> bytes | None:
        value = self.redis.hget(key, field)
        assert value is None or isinstance(value, bytes)
        return value


def acknowledge(sink: Sink) -> None:
    """What goes along with the last transaction."""
    sink.execute_command("INCR", "acknowledged")


@pytest.fixture
def rig() -> Rig:
    return Rig()


# -- dispatching


def test_what_is_ready_is_dispatched_and_acknowledged_in_one(rig: Rig) -> None:
    """In the run that the node's own record names."""
    rig.redis.hset(NAMES.node("x", "b"), keys.STATE, encode_record(NodeRecord(attempt=3, dispatch=4, run=2)))
    rig.follow(FOLLOW)
    assert (rig.tasks, rig.acknowledged) == (3, 1)
    assert (rig.record("b").status, rig.record("b").attempt, rig.record("b").dispatch) == ("queued", 4, 5)


@pytest.mark.parametrize("completed", [(), EVERYTHING], ids=["unknown", "completed"])
@pytest.mark.parametrize("status", OTHER_STATUSES)
def test_nothing_is_dispatched_unless_the_execution_runs(
    rig: Rig, status: ExecutionStatus, completed: Container[object]
) -> None:
    """The message is acknowledged all the same: it has nothing left to do."""
    rig.redis.hset(NAMES.control("x"), "status", status)
    rig.follow(msgspec.structs.replace(FOLLOW, completed=completed))
    assert (rig.tasks, rig.acknowledged) == (0, 1)


@pytest.mark.parametrize("run", [1, 3])
def test_nothing_is_dispatched_in_the_name_of_another_run(rig: Rig, run: int) -> None:
    """The process that began the run that is on dispatches its nodes."""
    rig.redis.hset(NAMES.control("x"), "run", run)
    rig.follow(FOLLOW)
    assert (rig.tasks, rig.acknowledged) == (0, 1)


def test_nothing_is_dispatched_of_an_execution_that_is_gone(rig: Rig) -> None:
    """Its keys have expired."""
    rig.redis.delete(NAMES.control("x"))
    rig.follow(FOLLOW, ending=[RUN])
    assert (rig.tasks, rig.acknowledged) == (0, 1)


@pytest.mark.parametrize("status", ["queued", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_only_what_is_pending_is_dispatched(rig: Rig, status: StoredNodeStatus) -> None:
    """Somebody else was sooner."""
    rig.redis.hset(NAMES.node("x", "b"), keys.STATE, encode_record(NodeRecord(status=status, run=2)))
    rig.follow(FOLLOW)
    assert (rig.tasks, rig.record("b").status) == (2, status)


def test_a_node_that_two_follow_from_is_dispatched_once(rig: Rig) -> None:
    """Two callbacks of a batch may lead to the same join."""
    rig.follow(Follow(RUN, PLAN, (1,)), Follow(RUN, PLAN, (1, 2)))
    assert (rig.tasks, rig.record("b").dispatch) == (2, 1)


def test_all_that_follows_in_one_execution_is_looked_at(rig: Rig) -> None:
    """Where all is known to have completed, too."""
    rig.follow(Follow(RUN, PLAN, (1,), EVERYTHING), Follow(RUN, PLAN, (1, 2), EVERYTHING))
    assert (rig.tasks, rig.record("b").dispatch) == (2, 1)


@pytest.mark.parametrize(("status", "tasks"), [("completed", 1), ("queued", 0), ("pending", 0)])
def test_what_a_node_depends_on_is_read_if_nobody_knows_it(
    rig: Rig, status: StoredNodeStatus, tasks: int
) -> None:
    """It is dispatched if all of that has completed, and otherwise not."""
    rig.put("x", "a", NodeRecord(status=status, run=2))
    rig.follow(Follow(RUN, CHAIN, (1,)))
    assert (rig.tasks, rig.acknowledged) == (tasks, 1)


def test_what_one_execution_sends_leaves_less_for_the_next() -> None:
    """What is below a node of the other one does not fit beside it, and is sent afterwards."""
    clears_up = with_policies(CHAIN, {"b": ruled("all_done")})
    room = PLAN.weights[0] + clears_up.weights[0]
    assert clears_up.weights[0] < clears_up.weights[1] <= room
    rig = Rig(Sizes(transaction_bytes=room))
    rig.add("y", clears_up, 1)
    rig.put("y", "a", NodeRecord(status="failed", run=2, unsettled=True))
    sent: list[int] = []
    rig.state.disturb = lambda: sent.append(rig.tasks)
    rig.follow(Follow(RUN, PLAN, (0,), EVERYTHING), Follow(Run("y", 2, "c"), clears_up, (0,)))
    assert (sent, rig.tasks, rig.acknowledged) == ([0, 1], 2, 1)


def test_what_is_paused_meanwhile_is_not_dispatched(rig: Rig) -> None:
    """Between the look and the writing: the transaction is refused, and decided anew."""
    rig.state.disturb = lambda: rig.redis.hset(NAMES.control("x"), "status", "paused")
    rig.follow(FOLLOW)
    assert (rig.tasks, rig.acknowledged) == (0, 1)


def test_what_keeps_changing_is_left_to_the_message_that_comes_again(rig: Rig) -> None:
    """Nothing is written, and nothing acknowledged."""
    rig.state.disturb = lambda: rig.redis.hincrby(NAMES.control("x"), "moved", 1)
    with pytest.raises(ConflictError):
        rig.follow(FOLLOW)
    assert (rig.tasks, rig.acknowledged) == (0, 0)
    assert rig.redis.hget(NAMES.control("x"), "moved") == str(TRIES).encode()


def test_a_large_step_is_acknowledged_with_its_last_part() -> None:
    """A process that dies in the middle is given the message again."""
    rig = Rig(Sizes(chunk_nodes=1))
    acknowledged: list[tuple[int, int]] = []
    rig.state.disturb = lambda: acknowledged.append((rig.tasks, rig.acknowledged))
    rig.follow(FOLLOW)
    assert acknowledged == [(0, 0), (1, 0), (2, 0)]
    assert (rig.tasks, rig.acknowledged) == (3, 1)


# -- ending


@pytest.mark.parametrize(("failed", "verdict"), [(0, "completed"), (1, "failed")])
def test_an_execution_with_nothing_left_is_ended(rig: Rig, failed: int, verdict: str) -> None:
    """By its counts, which are read after its control is WATCHed."""
    rig.redis.hset(NAMES.counts("x"), mapping={"unfinished": 0, "failed": failed})
    rig.follow(ending=[RUN])
    assert (rig.status, rig.acknowledged) == (verdict, 1)


@pytest.mark.parametrize("unfinished", [1, -1])
def test_an_execution_ends_at_exactly_0(rig: Rig, unfinished: int) -> None:
    """A number below that is wrong, and left to the sweep."""
    rig.redis.hset(NAMES.counts("x"), "unfinished", unfinished)
    rig.follow(ending=[RUN])
    assert (rig.status, rig.acknowledged) == ("running", 1)


def test_another_run_ends_nothing(rig: Rig) -> None:
    """Not even where nothing is left."""
    rig.redis.hset(NAMES.counts("x"), "unfinished", 0)
    rig.follow(ending=[Run("x", 1, "c")])
    assert (rig.status, rig.acknowledged) == ("running", 1)


def test_an_execution_that_was_ended_meanwhile_is_not_ended_again(rig: Rig) -> None:
    """Its control has changed between the look and the writing."""
    rig.redis.hset(NAMES.counts("x"), "unfinished", 0)
    rig.state.disturb = lambda: rig.redis.hset(
        NAMES.control("x"), mapping={"status": "completed", "finished_at": 7}
    )
    rig.follow(ending=[RUN])
    assert rig.redis.hget(NAMES.control("x"), "finished_at") == b"7"
    assert (rig.acknowledged, rig.redis.exists(NAMES.events("x"))) == (1, 0)


def test_an_execution_ends_beside_one_that_begins(rig: Rig) -> None:
    """In one transaction."""
    rig.add("y", PLAN, 0)
    rig.follow(Follow(RUN, PLAN, (0, 1, 2), EVERYTHING), ending=[Run("y", 2, "c")])
    assert (rig.tasks, rig.acknowledged) == (3, 1)
    assert rig.redis.hget(NAMES.control("y"), "status") == b"completed"


def test_without_anything_to_do_the_message_is_acknowledged(rig: Rig) -> None:
    """And nothing is read."""
    rig.state.disturb = lambda: pytest.fail("nothing is to be read")
    rig.follow()
    assert rig.acknowledged == 1
