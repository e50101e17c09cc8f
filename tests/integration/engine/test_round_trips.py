"""What one node costs: round trips of our processes, and commands by the server's own statistics.

A figure that goes up here is a regression that no clock would show on a busy machine. One that goes
down is good news: write down the new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import msgspec
import pytest

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.queues import WORKER_QUEUE
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Session
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy
from flowengine.workflow.repeating.repeat import Repeat
from tests.support.faults import Gate
from tests.support.rigs.harness import Entry, Harness, HeldEntries, Process, plan_of, silence
from tests.support.rigs.live_stack import HURRIED, LiveStack, through_gates
from tests.support.servers.valkey import Valkey

WORKER_NODE = Counter(
    {
        **dict.fromkeys(("hset", "zadd", "hmget", "multi", "xack", "xdel", "exec"), 1),
        "xadd": 2,
        "hget": 2,
    }
)
"""Start: `started`, its timer, its event; is it wanted, is its execution stopped, how much may it store.
Report: the callback."""

WORKER_ITERATION = WORKER_NODE - Counter(("hget",)) + Counter(("hmget",))
"""What the iteration before gave is read with the record, in one command."""
ITERATION = Counter(
    {
        **dict.fromkeys(("watch", "hget", "multi", "exec", "hset", "append"), 1),
        **dict.fromkeys(("hdel", "zrem", "xack", "xdel"), 1),
        "hmget": 2,
        "xadd": 2,
    }
)
"""Read the node, control and the counts under WATCH, then write: the record with what the iteration gave, the
list, its start's end, the events, the next task, the acknowledgement."""


class Cost:
    """What happened between two moments."""

    def __init__(self) -> None:
        self.round_trips = 0
        self.commands: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All commands."""
        return sum(self.commands.values())


Measure: TypeAlias = Callable[..., Cost]


@contextmanager
def counted(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cost]:
    """The cost of what the engine does inside; the harness itself sends nothing meanwhile."""
    cost = Cost()
    exchange = Session._exchange

    def counting(self: Session, commands: Sequence[Command], **options: Any) -> list[Any]:
        cost.round_trips += 1
        return exchange(self, commands, **options)

    harness.client.config_resetstat()
    with monkeypatch.context() as patched:
        patched.setattr(Session, "_exchange", counting)
        yield cost
    stats: Mapping[str, Mapping[str, int]] = harness.client.info("commandstats")
    for name, figures in stats.items():
        command = name.removeprefix("cmdstat_")
        # XRANGE is the harness's own: it looks whether the message is really gone.
        if not command.startswith(("config", "info", "hello", "client", "ping", "select", "xrange")):
            cost.commands[command] += figures["calls"]


def warm(process: Process) -> None:
    """Open its connection and set its clock, which happens once in a process's life."""
    process.state.sessions.here().call([("PING",)])
    process.state.clock.now()


@pytest.fixture
def cost(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """`cost(process, *entries)`: the cost of dealing with one delivery, connections being open."""

    def measured(process: Process, *entries: Entry) -> Cost:
        warm(process)
        with counted(harness, monkeypatch) as found:
            assert harness.deliver(process, *entries)
        return found

    return measured


def chain(length: int) -> dict[str, Sequence[str]]:
    """n0, n1, ... each after the one before."""
    return {f"n{at}": (f"n{at - 1}",) if at else () for at in range(length)}


def fan(width: int) -> dict[str, Sequence[str]]:
    """`first`, so many that depend on it, `last` that depends on them."""
    branches = [f"b{at}" for at in range(width)]
    return {"first": (), **dict.fromkeys(branches, ("first",)), "last": tuple(branches)}


def started(harness: Harness, plan: Plan) -> str:
    """An execution whose first nodes wait for a worker."""
    execution = harness.begin(plan)
    harness.start_executions()
    return execution


def unread(graph: Mapping[str, Sequence[str]]) -> Plan:
    """A plan whose nodes read nothing."""
    return plan_of(graph, reading=False)


def test_worker_makes_two_round_trips_for_a_node(harness: Harness, cost: Measure) -> None:
    """One to start it, one to report it; whatever the graph looks like."""
    started(harness, unread(chain(3)))
    found = cost(harness.workers[0], *harness.tasks())
    assert found.round_trips == 2
    assert found.commands == WORKER_NODE


def test_a_node_that_reads_inputs_costs_one_command_more(harness: Harness, cost: Measure) -> None:
    """They are read in the round trip that notes its start; one that reads none costs nothing."""
    plan = msgspec.structs.replace(unread(chain(2)), policies={0: Policy(given=("inputs",))})
    started(harness, plan)
    found = cost(harness.workers[0], *harness.tasks())
    assert (found.round_trips, found.commands) == (2, WORKER_NODE + Counter(("hmget",)))
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert cost(harness.workers[0], *harness.tasks()).commands == WORKER_NODE


def test_worker_makes_one_round_trip_for_a_quick_node(harness: Harness, cost: Measure) -> None:
    """Only the report: the handler is done before its start could be noted."""
    harness.be_quick()
    started(harness, unread(chain(3)))
    found = cost(harness.workers[0], *harness.tasks())
    assert found.round_trips == 1
    assert found.commands == Counter(("multi", "xadd", "xack", "xdel", "exec"))


@pytest.mark.proves("iteration-cost")
def test_each_iteration_costs_the_same_however_many_there_were(harness: Harness, cost: Measure) -> None:
    """One round trip to begin it, one to report it, one to go on; from the 21st on one command more, which
    drops the oldest attempt."""
    repeat = Repeat("{{ iteration == 100 }}", collects=True, reads_previous=True)
    started(harness, msgspec.structs.replace(unread(chain(1)), policies={0: Policy(repeat=repeat)}))
    found = {}
    for iteration in range(1, 61):
        mine = cost(harness.workers[0], *harness.tasks())
        theirs = cost(harness.orchestrators[0], *harness.callbacks())
        found[iteration] = (mine.commands + theirs.commands, mine.round_trips, theirs.round_trips)
    assert found[3][0] == WORKER_ITERATION + ITERATION
    assert found[3][1:] == (2, 1)
    assert found[60] == found[25] == (found[3][0] + Counter(("hdel",)), 2, 1)


def test_worker_reads_the_outputs_of_parents_in_the_same_round_trip(harness: Harness, cost: Measure) -> None:
    """One more command for each output, no more round trips."""
    started(harness, plan_of(fan(10)))
    harness.run_tasks("first")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    found = cost(harness.workers[0], *harness.tasks())
    assert found.round_trips == 2
    assert found.total == WORKER_NODE.total() + 10


CHAIN_NODE = Counter(
    {
        **dict.fromkeys(("watch", "hmget", "multi", "exec"), 1),
        **dict.fromkeys(("hincrby", "hdel", "zrem", "xack", "xdel"), 1),
        "hget": 2,
        "hset": 2,
        "xadd": 2,
    }
)
"""Read the node, its child and control under WATCH, then write: outcome, counts, event, next node,
acknowledgement."""
READ_AHEAD = Counter({"watch": 1, "hget": 2, "hmget": 1})


def test_orchestrator_makes_one_round_trip_for_a_node_of_a_chain(harness: Harness, cost: Measure) -> None:
    """What it reads was read with the transaction before, as it now reads what comes next."""
    started(harness, unread(chain(4)))
    for _ in range(2):
        harness.run_tasks()
        found = cost(harness.orchestrators[0], *harness.callbacks())
        assert found.round_trips == 1
        assert found.commands == CHAIN_NODE


def test_a_node_that_began_unnoted_leaves_nothing_to_remove(harness: Harness, cost: Measure) -> None:
    """Its callback says so: no mark and no timer are looked for."""
    harness.be_quick()
    started(harness, unread(chain(4)))
    harness.run_tasks()
    found = cost(harness.orchestrators[0], *harness.callbacks())
    assert found.commands == CHAIN_NODE - Counter(("hdel", "zrem"))


def test_orchestrator_that_did_not_dispatch_the_node_makes_two(harness: Harness, cost: Measure) -> None:
    """Read, then write; and what may come next, in case it comes here."""
    execution = started(harness, unread(chain(3)))
    harness.run_tasks()
    other = harness.second_orchestrator()
    other.state.plan(execution)
    found = cost(other, *harness.callbacks())
    assert found.round_trips == 2
    assert found.commands == CHAIN_NODE + READ_AHEAD


def test_reading_ahead_stops_where_it_does_not_pay(harness: Harness, cost: Measure) -> None:
    """Of two that take turns neither finds what it expected; soon each reads only what it needs."""
    harness.be_quick()
    execution = started(harness, unread(chain(14)))
    processes = (harness.orchestrators[0], harness.second_orchestrator())
    processes[1].state.plan(execution)
    found = []
    for turn in range(12):
        harness.run_tasks()
        found.append(cost(processes[turn % 2], *harness.callbacks()))
    assert found[0].round_trips == 1  # it has also started the execution
    assert [one.round_trips for one in found[1:]] == [2] * 11
    unnoted = CHAIN_NODE - Counter(("hdel", "zrem"))
    assert [one.commands for one in found[8:]] == [unnoted] * 4


def test_a_node_costs_the_same_in_a_graph_of_any_size(harness: Harness, cost: Measure) -> None:
    """Nothing that is done for one node of 1000 grows with the other 999."""
    found = []
    for length in (10, 1000):
        started(harness, unread(chain(length)))
        harness.run_tasks()
        found.append(cost(harness.orchestrators[0], *harness.callbacks()))
        found.append(cost(harness.workers[0], *harness.tasks()))
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        harness.client.flushall()
        for queue in ("fe:q:orchestrator", "fe:q:worker", "fe:q:worker:async"):
            harness.client.xgroup_create(queue, "fe", id="0", mkstream=True)
    assert [one.commands for one in found[:2]] == [one.commands for one in found[2:]]
    assert [one.round_trips for one in found] == [1, 2, 1, 2]


def test_a_fan_out_is_dispatched_in_its_parents_own_transaction(harness: Harness, cost: Measure) -> None:
    """Two commands a child, its record and its task, and no more round trips than for one.

    Where the most of them go is asked once in two seconds, on a connection of its own.
    """
    started(harness, unread(fan(100)))
    harness.run_tasks()
    harness.orchestrators[0].state.lines_beside.line_for(WORKER_QUEUE, waits=False, crowd=True)
    found = cost(harness.orchestrators[0], *harness.callbacks())
    assert found.round_trips == 1
    assert found.commands["hset"] == 1 + 100
    assert found.commands["xadd"] == 1 + 100
    assert found.total == CHAIN_NODE.total() - READ_AHEAD.total() + 2 * 99


def test_a_batch_of_callbacks_costs_two_round_trips(harness: Harness, cost: Measure) -> None:
    """Sixty-three completions at once: three commands each, and the rest once for all."""
    started(harness, unread(fan(64)))
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks()
    found = cost(harness.orchestrators[0], *harness.callbacks()[:63])
    assert found.round_trips == 3  # the third acknowledges: a join is looked at first
    assert found.commands["hget"] == found.commands["hset"] == 63
    assert found.total - 2 * 63 < 20


def test_a_join_costs_one_more_transaction(harness: Harness, cost: Measure) -> None:
    """The last parent's counter reaches 0 in one transaction, and the join is dispatched in the next."""
    started(harness, unread(fan(4)))
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks()
    found = cost(harness.orchestrators[0], *harness.callbacks())
    assert found.round_trips == 4
    assert found.commands["exec"] == 2
    assert found.commands["watch"] == 3  # the join's callback is waited for


def test_the_last_node_ends_its_execution_in_its_own_transaction(harness: Harness, cost: Measure) -> None:
    """Where one node comes after all others, its completion needs no second look at the execution."""
    execution = started(harness, unread(chain(2)))
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks()
    found = cost(harness.orchestrators[0], *harness.callbacks())
    assert found.round_trips == 1
    assert harness.api.executions.status(execution).status == "completed"


STARTED = Counter(
    {
        **dict.fromkeys(("watch", "get", "hget", "multi", "exec", "hset", "xack", "xdel"), 1),
        **dict.fromkeys(("hmget", "xadd"), 2),
    }
)
"""Read the root, control, the counts and the plan under WATCH; write the record, the task, the events, the
acknowledgement."""
AHEAD = Counter({"watch": 1, "hget": 2, "hmget": 1})
"""Of the callback that comes next: the node, the one that is dispatched with it, and control."""


def test_a_start_costs_an_orchestrator_two_round_trips(harness: Harness, cost: Measure) -> None:
    """Its message names the root, which is read with the plan."""
    harness.begin(unread(chain(3)))
    found = cost(harness.orchestrators[0], *harness.waiting("orchestrator"))
    assert found.round_trips == 2
    assert found.commands == STARTED + AHEAD


def test_a_start_of_many_roots_reads_them_once_it_knows_the_plan(harness: Harness, cost: Measure) -> None:
    """One round trip more: the message names none of them."""
    harness.begin(unread({f"n{at}": () for at in range(9)}))
    assert cost(harness.orchestrators[0], *harness.waiting("orchestrator")).round_trips == 3
    assert len(harness.tasks()) == 9


def test_small_executions_are_started_together(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two round trips for any number: WATCH with their plans, the transaction."""
    for _ in range(10):
        harness.begin(unread(chain(3)))
    entries = harness.waiting("orchestrator")
    orchestrator, receipt = harness.orchestrators[0], HeldEntries(entries, "")
    warm(orchestrator)
    held = receipt.held()
    with counted(harness, monkeypatch) as found:
        orchestrator.engine.start_together(held)
    assert found.round_trips == 2
    assert receipt.confirmed == set(range(10))
    assert len(harness.tasks()) == 10


def test_quick_nodes_are_run_together(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight nodes in one delivery: two round trips, as for one."""
    started(harness, unread({f"n{at}": () for at in range(8)}))
    entries = harness.tasks()
    worker, receipt = harness.workers[0], HeldEntries(entries, "")
    warm(worker)
    held = receipt.held()
    with counted(harness, monkeypatch) as found:
        worker.groups.run(held)
    assert found.round_trips == 2
    assert found.commands["exec"] == 1
    assert len(harness.callbacks()) == 8


CREATE = Counter(
    {
        **dict.fromkeys(("multi", "set", "hset", "expireat", "xadd", "exec"), 1),
        "zadd": 3,
    }
)
"""The plan, control and its expiry, two lists and what it is found by, the change."""
TRIGGER = Counter(
    {
        **dict.fromkeys(("watch", "hmget", "hget", "multi", "exec"), 1),
        **dict.fromkeys(("hset", "zrem", "zadd", "xadd"), 2),
        "persist": 3,
    }
)
"""Read control and inputs under WATCH; write control, the counts, two lists, the change, the message."""


def test_create_and_trigger_cost_three_round_trips(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction; WATCH, and the transaction. What was counted a moment ago is not counted again."""
    executions = harness.api.executions
    executions.trigger(
        executions.create(unread(chain(2)), correlation_id="test").execution_id, correlation_id="test"
    )
    with counted(harness, monkeypatch) as found:
        execution = executions.create(unread(chain(3)), correlation_id="test").execution_id
        executions.trigger(execution, correlation_id="test")
    assert found.round_trips == 3
    assert found.commands == CREATE + TRIGGER


START = Counter(
    {
        **dict.fromkeys(("multi", "set", "exec"), 1),
        **dict.fromkeys(("zadd", "xadd", "hset"), 3),
    }
)
"""The plan, control, its run, the counts, two lists and what it is found by, two changes, the message."""


def test_a_start_costs_one_round_trip(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes back nothing of what a pending execution would need."""
    executions = harness.api.executions
    executions.start(unread(chain(2)), correlation_id="test")
    with counted(harness, monkeypatch) as found:
        executions.start(unread(chain(3)), correlation_id="test")
    assert found.round_trips == 1
    assert found.commands == START


def test_audit_costs_no_round_trip(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who creates and triggers is told of in the same transactions, by a command each."""
    executions = harness.api.executions
    executions.trigger(
        executions.create(unread(chain(2)), correlation_id="test").execution_id, correlation_id="test"
    )
    with counted(harness, monkeypatch) as found:
        with acting(Note(action="create", actor=Actor(key="ops"))):
            execution = executions.create(unread(chain(3)), correlation_id="test").execution_id
        with acting(Note(action="trigger", actor=Actor(key="ops"))):
            executions.trigger(execution, correlation_id="test")
    assert found.round_trips == 3
    assert found.commands["xadd"] == 5, "two entries, two changes of status, and the message of the trigger"


LIVE_NODE = Counter(
    {
        **dict.fromkeys(("watch", "hincrby", "hdel", "zadd", "zrem", "expireat"), 1),
        **dict.fromkeys(("hmget", "xreadgroup", "multi", "exec", "xack", "xdel"), 2),
        "hset": 3,
        "xadd": 4,
        "hget": 5,
    }
)
"""Fetch a task and a callback; a worker's transaction and an orchestrator's; what each reads before."""
NOW_AND_THEN = ("xpending", "xclaim", "xinfo|consumers", "xlen")
"""Leases, lapsed messages and messages put off are looked after by the clock, whatever runs."""
SLACK = 1.15
"""For what is done once an execution, and the odd conflict."""


def test_a_node_costs_the_same_under_real_workers(private_valkey: Callable[..., Valkey]) -> None:
    """The whole stack in threads, as Dramatiq runs it: nobody asks for what the hand-driven one does not."""
    length = 100
    server = private_valkey()
    with silence(), through_gates(), server.connect() as client:
        # Nobody dies here, and who looks more often also reads more often.
        timing = msgspec.structs.replace(HURRIED, scan_every_s=1.0)
        stack = LiveStack(server.url, Gate(), lambda context, worker: None, timing=timing)
        looks = 0

        def ended(execution: str) -> bool:
            nonlocal looks
            looks += 1
            return bool(client.hget(f"fe:x:{execution}:control", "status") == b"completed")

        try:
            # The first makes connections and groups, and shows how quick the handler is.
            for nodes in (10, length):
                execution = stack.api.create(plan_of(chain(nodes)), correlation_id="test").execution_id
                client.config_resetstat()
                looks = 0
                stack.api.trigger(execution, correlation_id="test")
                stack.wait(partial(ended, execution), within_s=60, what="the end of the chain")
            stats: Any = client.info("commandstats")
        finally:
            stack.close()
    sent = Counter({name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()})
    sent["hget"] -= looks
    costly = {
        name: sent[name] / length for name in LIVE_NODE if sent[name] > SLACK * length * LIVE_NODE[name]
    }
    assert costly == {}
    assert sent["exec"] >= length, "the figures are those of this chain"
    rare = {name: calls for name, calls in sent.items() if name not in (*LIVE_NODE, *NOW_AND_THEN)}
    assert max(rare.values()) < length / 5, rare
