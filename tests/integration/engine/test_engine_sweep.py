"""The sweep repairs what should never break, and touches nothing that is in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import pytest

from flowengine.engine.advancing.orchestrator import LAST_DELIVERY
from flowengine.engine.maintenance.sweep import MARGIN_MS, Sweep, SweepStore
from flowengine.execution.records import NodeRecord
from flowengine.execution.rules.dispatching import Sizes
from flowengine.store import keys
from flowengine.workflow.plan import UnknownFormatError
from tests.support.checks.invariants import CheckEverything, check
from tests.support.checks.reference_model import expected_values
from tests.support.faults import Gate, ProcessDied
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of


def swept(harness: Harness) -> int:
    """How many things two sweeps repair: the first only remembers where everything stands."""
    turn = harness.orchestrators[0].sweep
    return turn.run() + turn.run()


def test_nothing_is_repaired_at_any_step_of_a_sound_execution(harness: Harness) -> None:
    """Messages that wait, nodes that run, joins that are not ready: all in order."""
    execution = harness.create(plan_of(diamond()))
    assert swept(harness) == 0
    harness.trigger(execution)
    assert swept(harness) == 0
    harness.start_executions()
    for node in ("a", "b", "c", "d"):
        assert swept(harness) == 0
        harness.run_tasks(node)
        assert swept(harness) == 0
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert swept(harness) == 0
    assert harness.results(execution) == expected_values(diamond())


@pytest.mark.proves("orchestrators-behind")
def test_executions_that_wait_behind_others_are_left_alone(harness: Harness) -> None:
    """A backlog is no damage."""
    for _ in range(5):
        harness.begin(plan_of(diamond()))
    assert swept(harness) == 0
    assert not harness.tasks()


class Meanwhile:
    """A store that lets a test do something just before the nodes of an execution are read, once."""

    def __init__(self, store: SweepStore, act: Callable[[], object]) -> None:
        self._store = store
        self._acts = [act]

    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]:
        """The records, after what the test wants."""
        while self._acts:
            self._acts.pop()()
        return self._store.read_nodes(execution, nodes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.mark.proves("moves-while-swept")
def test_an_execution_that_moves_while_it_is_looked_at_is_left_alone(harness: Harness) -> None:
    """Its callback is applied in between; what follows from it comes in the next transaction."""
    harness.resize(Sizes(chunk_nodes=1))
    execution = harness.begin(plan_of(diamond()))
    harness.start_executions()
    process, other = harness.orchestrators[0], harness.second_orchestrator()

    def die() -> None:
        raise ProcessDied

    def apply_and_die() -> None:
        harness.run_tasks("a")
        other.state.between, other.state.skipped = die, 1
        harness.deliver(other, *harness.callbacks())

    sweep = Sweep(cast(SweepStore, Meanwhile(process.state, apply_and_die)))
    assert sweep.run() + sweep.run() == 0
    assert harness.statuses(execution) == {"a": "completed", "b": "pending", "c": "pending", "d": "pending"}


@pytest.mark.proves("start-lost")
def test_a_lost_start_is_made_up_for(harness: Harness, check_invariants: CheckEverything) -> None:
    """Nodes that are ready and pending are dispatched."""
    execution = harness.begin(plan_of(diamond()))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    assert swept(harness) == 1
    harness.drain()
    assert harness.results(execution) == expected_values(diamond())
    check_invariants()


@pytest.mark.proves("callback-lost")
def test_a_lost_callback_is_made_up_for(harness: Harness, check_invariants: CheckEverything) -> None:
    """A queued node without any message is dispatched again: the same attempt, another dispatch."""
    execution = harness.begin(plan_of(diamond()))
    harness.start_executions()
    harness.run_tasks("a")
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    assert swept(harness) == 1
    harness.drain()
    assert harness.api.executions.status(execution).nodes[0].attempt == 1
    assert check(harness.client, execution).record("a").dispatch == 2
    assert harness.results(execution) == expected_values(diamond())
    check_invariants()


@pytest.mark.proves("task-lost")
def test_a_task_older_than_its_whole_queue_has_vanished(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The queue's oldest entry shows that it is gone, though the queue is not empty."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.client.xtrim("fe:q:worker", maxlen=0)
    later = harness.client.time()[0] * 1000 + 2 * MARGIN_MS
    harness.client.xadd("fe:q:worker", {"a": "run_node", "p": "{}"}, id=f"{later}-0")
    assert swept(harness) == 1
    harness.client.xdel("fe:q:worker", f"{later}-0")
    harness.drain()
    assert harness.results(execution) == {"a": 1}
    check_invariants()


def test_a_vanished_task_is_made_up_for_under_load(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The orchestrator's queue is never empty, but by now it holds nothing as old as the task's callback."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.client.xtrim("fe:q:worker", maxlen=0)
    turn = harness.orchestrators[0].sweep
    old = harness.begin(plan_of({"a": ()}))
    turn.run()
    turn.run()
    assert turn.repaired == 0
    ahead = harness.now() + 60_000
    harness.drain()
    harness.client.xadd("fe:q:orchestrator", {"a": "start_execution", "p": "{}"}, id=f"{ahead}-0")
    turn.run()
    assert turn.repaired == 1
    harness.client.xdel("fe:q:orchestrator", f"{ahead}-0")
    harness.drain()
    assert harness.results(execution) == harness.results(old) == {"a": 1}
    check_invariants()


def test_a_start_that_cannot_be_carried_out_is_let_go_of(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A plan of another version, say; once it can be read, the sweep starts the execution."""
    execution = harness.begin(plan_of({"a": ()}))
    state = harness.orchestrators[0].state
    sound = harness.client.get(keys.of().plan(execution))
    harness.client.set(keys.of().plan(execution), b'[4,["x",[]]]')
    (entry,) = harness.waiting("orchestrator")
    with pytest.raises(UnknownFormatError):
        harness.deliver(harness.orchestrators[0], entry)
    assert harness.deliver(harness.orchestrators[0], msgspec.structs.replace(entry, deliveries=LAST_DELIVERY))
    assert swept(harness) == 0
    harness.client.set(keys.of().plan(execution), sound)
    state.plans.drop(execution)
    assert swept(harness) == 1
    harness.drain()
    assert harness.results(execution) == {"a": 1}
    check_invariants()


def test_no_sweep_looks_at_more_than_so_many_executions(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The next one goes on where it has ended."""
    for _ in range(5):
        harness.begin(plan_of({"a": ()}))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    turn = Sweep(harness.orchestrators[0].state, at_most=2)
    assert [turn.run() for _ in range(4)] == [0, 2, 2, 1]
    harness.drain()
    check_invariants()


def test_a_sound_execution_costs_few_round_trips(harness: Harness) -> None:
    """However many nodes of it wait for a worker."""
    harness.begin(plan_of({f"n{number}": () for number in range(200)}))
    harness.start_executions()
    turn = harness.orchestrators[0].sweep
    turn.run()
    gate = harness.orchestrators[0].line.gate = Gate()
    turn.run()
    assert gate.count < 250


def test_an_execution_whose_keys_are_gone_leaves_the_index(harness: Harness) -> None:
    """It would count against the limit of unfinished executions for ever."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    for key in harness.client.keys(f"fe:x:{execution}:*"):
        harness.client.delete(key)
    assert swept(harness) == 0
    assert not harness.client.exists(keys.of().index("running"))


@pytest.mark.proves("counter-wrong")
def test_a_wrong_counter_is_corrected(harness: Harness, check_invariants: CheckEverything) -> None:
    """Counters are made to say what the node records say."""
    execution = harness.begin(plan_of(diamond()))
    harness.start_executions()
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.client.hset(keys.of().deps(execution), "d", 7)
    assert swept(harness) == 1
    harness.drain()
    assert harness.results(execution) == expected_values(diamond())
    check_invariants()


@pytest.mark.proves("counter-wrong")
def test_a_correction_does_not_overwrite_a_completion_meanwhile(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The sweep WATCHes what it judged by: a counter that has moved since is left alone."""
    execution = harness.begin(plan_of(diamond()))
    harness.start_executions()
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks("b")
    harness.client.hset(keys.of().deps(execution), "d", 7)
    sweeper = harness.second_orchestrator()
    hasty = Sweep(sweeper.state, clock_margin_ms=-1_000_000)
    hasty.run()

    def meanwhile() -> None:
        harness.client.hset(keys.of().deps(execution), "d", 2)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())

    sweeper.state.between, sweeper.state.skipped = meanwhile, 1  # the first unit only looks
    hasty.run()
    assert not sweeper.state.hooked
    harness.drain()
    assert harness.results(execution) == expected_values(diamond())
    check_invariants()


def test_an_execution_that_was_never_ended_is_ended(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Nothing is left to run, and nobody said so."""
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_of({"a": ()}))
    harness.client.hset(keys.of().counts(execution), "unfinished", 2)  # so that the end is not noticed
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.api.executions.status(execution).status == "running"
    assert swept(harness) == 2
    assert [stored.status for stored in check_invariants()] == ["failed"]


@pytest.mark.proves("index-unreadable")
@pytest.mark.parametrize(
    "member",
    [b"\xff\xfe", "x|\u00b2|n|1", "", "a b", "../x", "f" * 26, "F" * 27, "f" * 27 + "p", b"\x00" * 9],
)
@pytest.mark.parametrize("score", [1, float("inf"), float("-inf")])
def test_a_member_of_the_index_that_is_no_id_is_set_aside_alone(
    harness: Harness, check_invariants: CheckEverything, member: bytes | str, score: float
) -> None:
    """It stopped the whole sweep, and with it what repairs all other executions."""
    execution = harness.begin(plan_of(diamond()))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    harness.client.zadd("fe:index:running", {member: score})
    assert swept(harness) == 1
    assert harness.client.zrange("fe:index:running", 0, -1) == [execution.encode()]
    assert harness.orchestrators[0].state.set_aside == 1
    harness.drain()
    assert harness.results(execution) == expected_values(diamond())
    check_invariants()


def test_an_execution_with_an_odd_time_in_the_index_is_looked_at_as_well(harness: Harness) -> None:
    """Its id is right; only the index says that it was triggered at the end of time."""
    execution = harness.begin(plan_of(diamond()))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    harness.client.zadd("fe:index:running", {execution: float("inf")})
    assert swept(harness) == 1


def test_of_several_processes_one_sweeps(harness: Harness) -> None:
    """The first process that asks in a period."""
    other = harness.second_orchestrator()
    assert [process.state.sweep_due(60) for process in (harness.orchestrators[0], other, other)] == [
        True,
        False,
        False,
    ]


@pytest.mark.corrupts("an execution expires, and its keys stay")
def test_expired_executions_leave_the_index(harness: Harness) -> None:
    """Their keys go by themselves; the sweep removes their ids, and no others."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.drain()
    harness.client.zadd("fe:index:completed", {execution: 1})
    swept(harness)
    assert harness.client.exists("fe:index:completed"), "it is there, whatever its time"
    harness.client.delete(keys.of().control(execution))
    swept(harness)
    assert not harness.client.exists("fe:index:completed")


def test_an_execution_that_cannot_be_checked_does_not_keep_the_others_waiting(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A record that nobody can read costs its own execution only."""
    broken = harness.begin(plan_of({"a": ()}))
    sound = harness.begin(plan_of(diamond()))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    harness.client.hset(keys.of().node(broken, "a"), keys.STATE, "{")
    assert swept(harness) == 1
    harness.client.hdel(keys.of().node(broken, "a"), keys.STATE)
    assert swept(harness) == 1
    harness.drain()
    assert harness.results(sound) == expected_values(diamond())
    check_invariants()
