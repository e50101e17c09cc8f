"""An execution with queues of its own: nobody else sees to it, until what is left of it is handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from flowengine.engine.commands.create import new_id
from flowengine.engine.maintenance.lapsed_runs import LapsedRuns
from flowengine.errors import StoreUnavailableError
from flowengine.execution.records import NodeRecord
from flowengine.queues import ORCHESTRATOR_QUEUE, WORKER_QUEUE, async_line, handler_line
from flowengine.store import keys
from flowengine.store.codec import decode_record, encode_record
from flowengine.store.maintenance.own_queues import PAGE, TIMERS_AT_ONCE, RedisOwnQueues
from flowengine.store.maintenance.timer_store import PARSERS
from tests.fault.crash_scenes.groups import grouped
from tests.support.checks.invariants import CheckEverything, check_everything
from tests.support.checks.reference_model import expected_values
from tests.support.faults import WAYS, Gate, ProcessDied
from tests.support.rigs.harness import QUEUES, Harness, diamond, plan_of
from tests.support.servers.valkey import Valkey

OWNER = new_id(1, "0" * 16, "")
OWN = keys.of("", OWNER)
COMMON = keys.of()
DIAMOND = expected_values(diamond())


@pytest.fixture
def own(valkey: Valkey) -> Iterator[Harness]:
    """The processes of one execution, which has queues of its own."""
    made = Harness(valkey.url, owner=OWNER)
    yield made
    made.close()


@pytest.fixture
def common(valkey: Valkey) -> Iterator[Harness]:
    """The processes that serve the common queues."""
    made = Harness(valkey.url)
    yield made
    made.close()


def claim(own: Harness) -> None:
    """Its processes say that they serve its queues."""
    RedisOwnQueues(own.api.state).claim(QUEUES)


def let_lapse(own: Harness) -> None:
    """They have said so a while ago, for the last time."""
    for member in own.client.zrange(COMMON.own_queues, 0, -1):
        own.client.zadd(COMMON.own_queues, {member: 1})


def hand_over(common: Harness) -> int:
    """What one of the common processes moves."""
    return RedisOwnQueues(common.orchestrators[0].state).hand_over(OWNER)


def own_keys(harness: Harness) -> list[str]:
    """The keys that the execution has of its own, its data apart."""
    names = [key.decode() for key in harness.client.scan_iter()]
    return sorted(name for name in names if name.endswith(f"@{OWNER}") or name == COMMON.own_queues)


def messages(harness: Harness) -> int:
    """How many messages wait in the queues of these processes."""
    return sum(harness.client.xlen(harness.stream(queue)) for queue in QUEUES)


@pytest.mark.proves("run-on-shared-server")
def test_each_sees_to_its_own(own: Harness, common: Harness, check_invariants: CheckEverything) -> None:
    """Messages and timers of the one never meet the processes of the other."""
    claim(own)
    execution, other = own.begin(plan_of(diamond())), common.begin(plan_of(diamond()))
    assert execution == OWNER
    common.drain()
    assert common.results(other) == DIAMOND
    assert own.statuses(execution) == dict.fromkeys("abcd", "pending")
    own.start_executions()
    task = own.task_of("a")
    own.script = lambda context: own.workers[0].line.kill()
    own.deliver(own.workers[0], task)
    assert (own.client.zcard(OWN.deadlines), own.client.zcard(COMMON.deadlines)) == (1, 0)
    own.still_holding(task)
    own.make_overdue(execution, "a", 1)
    common.fire_timers()
    assert messages(common) == 0
    own.fire_timers()
    assert [entry.actor for entry in own.waiting(ORCHESTRATOR_QUEUE)] == ["timer_fired"]
    own.script = lambda context: None
    own.drain()
    assert own.api.executions.results(execution).errors["a"].code == "timeout"
    common.trigger(execution)  # once it has ended, anybody may run it again
    assert messages(common) == 1
    common.drain()
    assert common.results(execution) == DIAMOND
    hand_over(common)
    check_invariants()


def callbacks(own: Harness) -> None:
    """Let an orchestrator deal with the callbacks that wait."""
    own.deliver(own.orchestrators[0], *own.callbacks())


STEPS: tuple[Callable[[Harness], None], ...] = (
    Harness.start_executions,
    Harness.run_tasks,
    callbacks,
    lambda own: own.run_tasks("b"),
    Harness.run_tasks,
    callbacks,
    Harness.run_tasks,
)
"""What a diamond's own processes do, step by step."""


@pytest.mark.proves("run-killed-on-shared-server")
@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_what_is_left_goes_on_with_the_common_processes(
    own: Harness, common: Harness, check_invariants: CheckEverything, steps: int
) -> None:
    """Wherever its own processes have ended. Nothing of its own stays."""
    claim(own)
    own.begin(plan_of(diamond()))
    for step in STEPS[:steps]:
        step(own)
    let_lapse(own)
    left = messages(own)
    assert hand_over(common) == left == messages(common) > 0
    assert own_keys(own) == []
    common.drain()
    assert common.results(OWNER) == DIAMOND
    check_invariants()


def test_a_node_that_ran_keeps_its_deadline(own: Harness, common: Harness) -> None:
    """Its timer is moved with its task."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    own.start_executions()
    own.script = lambda context: own.workers[0].line.kill()
    own.deliver(own.workers[0], own.task_of("a"))
    [(member, due)] = own.client.zrange(OWN.deadlines, 0, -1, withscores=True)
    hand_over(common)
    assert own.client.zrange(COMMON.deadlines, 0, -1, withscores=True) == [(member, due)]
    common.drain()
    assert common.results(OWNER) == {"a": 1}


@pytest.mark.parametrize("kind", PARSERS)
def test_timers_of_every_kind_are_moved(own: Harness, common: Harness, kind: str) -> None:
    """More than are moved at once."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    armed = {keys.timer_member(OWNER, 1, "a", number): number for number in range(2 * TIMERS_AT_ONCE + 1)}
    own.client.zadd(OWN.timers(kind), armed)
    hand_over(common)
    assert common.client.zcard(COMMON.timers(kind)) == len(armed)
    assert own_keys(own) == []
    common.client.delete(COMMON.timers(kind))
    common.drain()


@pytest.mark.proves("run-killed-on-shared-server")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a dead process's UNWATCH
def test_handing_over_cut_anywhere_moves_each_message_once(valkey: Valkey) -> None:
    """It is in one of the two queues, and the next one to look moves the rest."""
    for way in WAYS:
        at = 1
        while cut_hand_over(valkey, Gate(at=at, way=way), f"{way} at {at}"):
            at += 1
        assert at > 20


def cut_hand_over(valkey: Valkey, gate: Gate, where: str) -> str | None:
    """Hand an execution over by a process that passes this gate, then by another; what the gate struck."""
    with valkey.connect() as client:
        client.flushall()
    own, common, cut = (
        Harness(valkey.url, owner=OWNER),
        Harness(valkey.url),
        Harness(valkey.url, groups=False),
    )
    try:
        claim(own)
        own.begin(plan_of({"a": (), "b": (), "c": ()}))
        own.start_executions()
        own.run_tasks("a")
        cut.orchestrators[0].line.gate = gate
        try:
            hand_over(cut)
        except (ProcessDied, StoreUnavailableError):
            assert gate.struck, where
        assert messages(own) + messages(common) == 3, where
        hand_over(common)
        assert (own_keys(own), messages(common)) == ([], 3), where
        common.drain()
        assert common.results(OWNER) == {"a": 1, "b": 1, "c": 1}, where
        check_everything(common.client)
    finally:
        for harness in (own, common, cut):
            harness.close()
    return gate.struck


def test_of_two_processes_one_moves_each_message(
    own: Harness, common: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another has moved between the look and the transaction is not moved again."""
    claim(own)
    own.begin(plan_of({f"n{number}": () for number in range(2 * PAGE + 1)}))
    own.start_executions()
    state, other = common.orchestrators[0].state, common.second_orchestrator().state
    now, meanwhile = state.now, [lambda: RedisOwnQueues(other).hand_over(OWNER)]

    def now_and_meanwhile() -> int:
        if meanwhile:
            meanwhile.pop()()
        return now()

    monkeypatch.setattr(state, "now", now_and_meanwhile)
    RedisOwnQueues(state).hand_over(OWNER)
    assert (len(common.tasks()), own_keys(own)) == (2 * PAGE + 1, [])
    common.drain()


def test_what_comes_as_its_queues_are_forgotten_is_not_lost(
    own: Harness, common: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still may go on meanwhile: its message is handed over at the next look."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    queues = RedisOwnQueues(common.orchestrators[0].state)
    move, late = queues._move_scored, [{"x": "late"}]

    def move_and_start(source: str, target: str) -> None:
        move(source, target)
        if late:
            own.client.xadd(own.stream(WORKER_QUEUE), late.pop())

    monkeypatch.setattr(queues, "_move_scored", move_and_start)
    assert queues.hand_over(OWNER) == 1
    assert queues._read()[1]
    assert hand_over(common) == 1
    assert own_keys(own) == []
    common.client.delete(common.stream(WORKER_QUEUE))
    common.client.xgroup_create(common.stream(WORKER_QUEUE), "fe", id="0", mkstream=True)
    common.drain()


def test_tasks_beside_a_queue_are_moved_as_well(own: Harness, common: Harness) -> None:
    """What was put off, what waits for a worker that knows its handler, and nodes of async handlers."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    own.start_executions()
    [(_, fields)] = own.client.xrange(own.stream(WORKER_QUEUE))
    own.client.xtrim(own.stream(WORKER_QUEUE), maxlen=0)
    own.client.xadd(OWN.stream(handler_line(WORKER_QUEUE, "sum")), fields)
    own.client.zadd(OWN.handlers(WORKER_QUEUE), {"sum": 1})
    own.client.xadd(OWN.later(WORKER_QUEUE), fields)
    own.client.xadd(OWN.stream(async_line(WORKER_QUEUE)), fields)
    assert hand_over(common) == 3
    assert own_keys(own) == [key for key in own_keys(own) if "@" not in key]
    assert len(common.tasks()) == 3
    common.drain()
    assert common.results(OWNER) == {"a": 1}


def test_what_is_left_of_one_that_has_ended_is_dropped(own: Harness, common: Harness) -> None:
    """Nobody wants it any more."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    [(_, fields)] = own.client.xrange(own.stream(ORCHESTRATOR_QUEUE))
    own.drain()
    own.client.xadd(own.stream(ORCHESTRATOR_QUEUE), fields)
    own.client.zadd(OWN.deadlines, {keys.timer_member(OWNER, 1, "a", 1): 1})
    assert hand_over(common) == 0
    assert (own_keys(own), messages(common), common.client.zcard(COMMON.deadlines)) == ([], 0, 0)


def test_a_run_that_never_created_its_execution_leaves_nothing(own: Harness, common: Harness) -> None:
    """It was killed as it started: its queues are there, and nothing is in them."""
    claim(own)
    assert hand_over(common) == 0
    assert own_keys(own) == []
    assert hand_over(common) == 0


def test_one_has_lapsed_when_the_leases_of_all_its_queues_have(own: Harness, common: Harness) -> None:
    """One process of it that lives is enough."""
    queues = RedisOwnQueues(common.orchestrators[0].state)
    claim(own)
    assert queues.lapsed() == []
    own.client.zadd(COMMON.own_queues, {f"{ORCHESTRATOR_QUEUE}@{OWNER}": 1})
    assert queues.lapsed() == []
    let_lapse(own)
    assert queues.lapsed() == [OWNER]
    claim(own)
    assert queues.lapsed() == []
    hand_over(common)


@pytest.mark.parametrize(
    "odd", [b"", b"worker", b"@" + OWNER.encode(), b"worker@x", b"\xff@" + OWNER.encode(), b"worker@\xff"]
)
def test_a_member_that_nobody_can_read_is_removed_alone(own: Harness, common: Harness, odd: bytes) -> None:
    """It is logged and counted, and the others are handed over."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    let_lapse(own)
    own.client.zadd(COMMON.own_queues, {odd: 1})
    queues = RedisOwnQueues(common.orchestrators[0].state)
    LapsedRuns(queues, hold_s=0).turn()
    assert (queues.set_aside, own_keys(own)) == (1, [])
    common.drain()


def test_the_common_sweep_leaves_it_alone(own: Harness, common: Harness) -> None:
    """Its messages are in no common queue, which is no damage. Once it is handed over, it is looked at."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    own.start_executions()
    sweep = common.orchestrators[0].sweep
    assert sweep.run() + sweep.run() + sweep.run() == 0
    own.client.xtrim(own.stream(WORKER_QUEUE), maxlen=0)
    hand_over(common)
    assert sweep.run() + sweep.run() == 1
    common.drain()
    assert common.results(OWNER) == {"a": 1}


def test_its_own_sweep_looks_at_nothing_else(own: Harness, common: Harness) -> None:
    """It repairs what is its own, and no more; it takes no turn from the common sweep."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    other = common.begin(plan_of({"a": ()}))
    for harness in (own, common):
        harness.client.xtrim(harness.stream(ORCHESTRATOR_QUEUE), maxlen=0)
    state, sweep = own.orchestrators[0].state, own.orchestrators[0].sweep
    assert state.sweep_due(60)
    assert common.orchestrators[0].state.sweep_due(60)
    assert sweep.run() + sweep.run() == 1
    own.drain()
    assert own.results(OWNER) == {"a": 1}
    assert common.statuses(other) == {"a": "pending"}
    hand_over(common)
    common.client.delete(COMMON.sweep)
    sweep = common.orchestrators[0].sweep
    assert sweep.run() + sweep.run() == 1
    common.drain()


def test_a_task_that_was_moved_is_not_taken_for_vanished(own: Harness, common: Harness) -> None:
    """By its id it is younger than the time at which its node was dispatched."""
    claim(own)
    own.begin(plan_of({"a": ()}))
    own.start_executions()
    age(own, "a", by_ms=60_000)
    hand_over(common)
    sweep = common.orchestrators[0].sweep
    assert sweep.run() + sweep.run() == 0
    common.client.xtrim(common.stream(WORKER_QUEUE), maxlen=0)
    assert sweep.run() == 1
    common.drain()
    assert common.results(OWNER) == {"a": 1}


def age(harness: Harness, node: str, *, by_ms: int) -> None:
    """As if the node had been dispatched so much earlier."""
    key = harness.keys.node(OWNER, node)
    record = decode_record(harness.client.hget(key, keys.STATE))
    assert isinstance(record, NodeRecord)
    older = msgspec.structs.replace(record, queued_at=(record.queued_at or 0) - by_ms)
    harness.client.hset(key, keys.STATE, encode_record(older))


@pytest.mark.proves("run-on-shared-server")
def test_children_are_handed_over_with_their_root(
    own: Harness, common: Harness, check_invariants: CheckEverything
) -> None:
    """They run by the queues that the root has of its own, and by the common ones after that."""
    claim(own)
    execution = own.begin(grouped())
    for _ in range(5):
        for entry in own.waiting(ORCHESTRATOR_QUEUE):
            own.deliver(own.orchestrators[0], entry)
        if own.client.exists(OWN.nested):
            break
        own.run_tasks()
    assert own.client.exists(OWN.nested)
    assert common.orchestrators[0].state.running_executions() == {}
    assert len(own.orchestrators[0].state.running_executions()) == 2
    let_lapse(own)
    hand_over(common)
    assert not own.client.exists(OWN.nested)
    assert own.client.exists(COMMON.nested)
    common.drain()
    assert common.api.executions.status(execution).status == "completed"
    check_invariants()
