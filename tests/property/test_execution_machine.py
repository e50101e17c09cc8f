"""An execution under everything that can happen to it, compared step by step with a small model.

Callbacks come late, twice, out of order and under two orchestrators at once; workers and orchestrators
die at any command and their messages come again; nodes time out; failed executions are triggered
again while the past still sends its callbacks. After each step the store says what the model says,
and every invariant holds. `FLOWENGINE_FAULT_EXAMPLES` makes it run for longer;
`FLOWENGINE_FAULT_SHRINK=1` makes it look for the shortest way to a failure.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flowengine.errors import WrongStateError
from flowengine.execution import rules
from flowengine.execution.model import Callback, Completed, StartExecution, TimerFired
from flowengine.plugin import Context, HandlerError
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.connection import connect
from tests.property.graphs import graphs
from tests.support.faults import WAYS, Gate, Way
from tests.support.harness import Entry, Harness, OrchestratorProcess, plan_of, silence
from tests.support.invariants import check, check_everything
from tests.support.reference_model import Graph, Model
from tests.support.valkey import Valkey

EXAMPLES = int(os.environ.get("FLOWENGINE_FAULT_EXAMPLES", "50"))
PHASES = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
STEPS = 40
SMALL_CHUNK = 2

ways = st.sampled_from(WAYS)


class ExecutionMachine(RuleBasedStateMachine):
    """One execution, from its creation to its last end."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.chunk = rules.CHUNK_NODES
        rules.CHUNK_NODES = SMALL_CHUNK
        self.quiet = silence()
        self.quiet.__enter__()
        with connect(self.url) as client:
            client.flushall()
        # So long a lease that none lapses unless a rule says so.
        self.harness = Harness(self.url, settings=Settings(lease_s=60.0))
        self.harness.second_orchestrator()
        self.outcomes: list[bool] = []
        self.harness.script = self.work
        self.past: list[Entry] = []

    @initialize(graph=graphs(), quick=st.booleans())
    def create(self, graph: Graph, quick: bool) -> None:
        """A pending execution; perhaps one whose nodes begin unnoted."""
        self.model = Model(graph)
        if quick:
            self.harness.be_quick()
        self.execution = self.harness.create(plan_of(graph, reading=not quick))

    def work(self, context: Context) -> None:
        """What a node's handler does: succeeds or fails as the rule says."""
        if not self.outcomes[-1]:
            raise HandlerError("boom", "failed by the rule")

    # -- what may happen

    @precondition(lambda self: self.model.may_trigger)
    @rule()
    def trigger(self) -> None:
        """Start, or retry what failed."""
        self.model.trigger()
        assert self.harness.trigger(self.execution) == self.model.run

    @precondition(lambda self: not self.model.may_trigger)
    @rule()
    def look_on(self) -> None:
        """A trigger is refused, and two turns of the sweep find nothing to repair."""
        with pytest.raises(WrongStateError):
            self.harness.trigger(self.execution)
        turn = self.harness.orchestrators[0].sweep
        assert turn.run() + turn.run() == 0

    @precondition(lambda self: self.orders("start_execution"))
    @rule(data=st.data(), crash=st.none() | st.tuples(st.integers(1, 30), ways))
    def start(self, data: st.DataObject, crash: tuple[int, Way] | None) -> None:
        """A start message is dealt with: this run's, or an old one that comes again."""
        entry = data.draw(st.sampled_from(self.orders("start_execution")))
        self.deliver([entry], crash, self.pick(data))
        self.model_starts(entry)

    @precondition(lambda self: self.all_tasks())
    @rule(data=st.data(), succeeds=st.booleans(), delivery=st.integers(1, 3))
    def run_task(self, data: st.DataObject, succeeds: bool, delivery: int) -> None:
        """A worker runs a task: one that waits, or one whose lease it had lost meanwhile."""
        task = data.draw(st.sampled_from(self.all_tasks()))
        self.outcomes.append(succeeds)
        assert self.harness.deliver(
            self.harness.workers[0], msgspec.structs.replace(task, deliveries=delivery)
        )

    @precondition(lambda self: self.harness.tasks())
    @rule(data=st.data(), at=st.integers(1, 12), way=ways, succeeds=st.booleans())
    def drop_worker(self, data: st.DataObject, at: int, way: Way, succeeds: bool) -> None:
        """A worker is struck while it runs a task; the task comes back unless its report got through."""
        task = data.draw(st.sampled_from(self.harness.tasks()))
        self.past.append(task)
        self.outcomes.append(succeeds)
        worker = self.harness.workers[0]
        worker.line.gate = Gate(at=at, way=way)
        self.harness.deliver(worker, task)
        worker.line.gate = Gate()

    @precondition(lambda self: self.orders("node_finished"))
    @rule(data=st.data(), crash=st.none() | st.tuples(st.integers(1, 40), ways))
    def finish(self, data: st.DataObject, crash: tuple[int, Way] | None) -> None:
        """A batch of callbacks, new and old, in any order; perhaps the orchestrator dies over it."""
        batch = self.draw_batch(data)
        self.deliver(batch, crash, self.pick(data))
        self.model_reports(batch)

    @precondition(lambda self: self.orders("node_finished"))
    @rule(data=st.data(), triggered=st.booleans(), skipped=st.integers(0, 2))
    def finish_at_once(self, data: st.DataObject, triggered: bool, skipped: int) -> None:
        """Two orchestrators at once: all of one's work falls between the other's reads and writes."""
        mine, theirs = self.draw_batch(data), self.draw_batch(data)
        first, second = self.harness.orchestrators

        def meanwhile() -> None:
            self.deliver(theirs, None, second)
            self.model_reports(theirs)
            if triggered and self.model.may_trigger:
                self.trigger()

        first.state.between, first.state.skipped = meanwhile, skipped
        # What the model hears first does not matter unless both report on one attempt.
        if self.attempts(mine) & self.attempts(theirs):
            first.state.skipped = 0
        self.deliver(mine, None, first)
        if first.state.hooked:
            first.state.between, first.state.skipped = None, 0
            meanwhile()
        self.model_reports(mine)

    @precondition(lambda self: self.begun())
    @rule(data=st.data(), hangs=st.booleans(), crash=st.none() | st.tuples(st.integers(1, 30), ways))
    def time_out(self, data: st.DataObject, hangs: bool, crash: tuple[int, Way] | None) -> None:
        """A node's deadline passes: its worker hangs, and may still report, too late; or it waits for one."""
        node, attempt = data.draw(st.sampled_from(self.begun()))
        self.harness.make_overdue(self.execution, node, attempt)
        begun = self.harness.begun(self.execution, node, attempt)
        for task in self.harness.tasks():
            if task.id.decode() == begun.place.partition("/")[0]:
                deliveries = begun.delivery if hangs else begun.delivery + 1
                self.harness.still_holding(msgspec.structs.replace(task, deliveries=deliveries))
        self.harness.fire_timers()
        for entry in [e for e in self.orders("timer_fired") if e not in self.past]:
            timer = msgspec.json.decode(entry.payload, type=TimerFired)
            hung = self.has_hung(timer)
            self.deliver([entry], crash, self.pick(data))
            if hung:
                self.model.report(timer.node, timer.attempt, completed=False)

    @precondition(lambda self: self.orders("timer_fired"))
    @rule(data=st.data())
    def repeat_timer(self, data: st.DataObject) -> None:
        """An old timer's message comes again."""
        entry = data.draw(st.sampled_from(self.orders("timer_fired")))
        before = self.harness.statuses(self.execution)
        self.deliver([entry], None, self.pick(data))
        assert self.harness.statuses(self.execution) == before

    # -- what must hold

    @invariant()
    def agrees_with_the_model(self) -> None:
        """Node by node, and as a whole."""
        stored = check(self.harness.client, self.execution, settled=False)
        assert {node: stored.record(node).status for node in self.model.graph} == self.model.status
        assert {node: stored.record(node).attempt for node in self.model.graph} == self.model.attempt
        assert stored.status == self.model.execution_status

    def teardown(self) -> None:
        """Let everything that waits happen: the execution ends, and nothing is left."""
        try:
            if hasattr(self, "execution"):
                self.outcomes.append(True)
                if self.model.execution_status == "pending":
                    self.trigger()
                self.harness.drain()
                assert not self.harness.client.zrange(keys.index("running"), 0, -1)
                check_everything(self.harness.client)
        finally:
            self.harness.close()
            self.quiet.__exit__(None, None, None)
            rules.CHUNK_NODES = self.chunk

    # -- helpers of the rules

    def pick(self, data: st.DataObject) -> OrchestratorProcess:
        """One of the orchestrators."""
        return data.draw(st.sampled_from(self.harness.orchestrators))

    def orders(self, actor: str) -> list[Entry]:
        """The orchestrator's messages of one kind: those that wait, and those of the past."""
        waiting = [e for e in self.harness.waiting("orchestrator") if e.actor == actor]
        return waiting + [e for e in self.past if e.actor == actor and e not in waiting]

    def all_tasks(self) -> list[Entry]:
        """The tasks that wait, and those of the past."""
        waiting = self.harness.tasks()
        known = {task.id for task in waiting}
        return waiting + [e for e in self.past if e.actor == "run_node" and e.id not in known]

    def draw_batch(self, data: st.DataObject) -> list[Entry]:
        """Some callbacks, in any order, any of them more than once."""
        return data.draw(st.lists(st.sampled_from(self.orders("node_finished")), min_size=1, max_size=5))

    def begun(self) -> list[tuple[str, int]]:
        """The attempts that a worker has begun."""
        fields = self.harness.client.hkeys(keys.started(self.execution))
        parts = [field.decode().split(":") for field in fields]
        return sorted((node, int(attempt)) for node, attempt in parts)

    def has_hung(self, timer: TimerFired) -> bool:
        """Whether whoever began an attempt an hour ago still has it."""
        begun = self.harness.begun(self.execution, timer.node, timer.attempt)
        at = begun.place.partition("/")[0]
        counts = [task.deliveries for task in self.harness.tasks() if task.id.decode() == at]
        return counts == [begun.delivery] and begun.at < self.harness.now() - 1_000_000

    def deliver(
        self, batch: Sequence[Entry], crash: tuple[int, Way] | None, process: OrchestratorProcess
    ) -> None:
        """Give a batch to an orchestrator; if it is struck, the whole batch comes again, one by one."""
        self.past += [entry for entry in batch if entry not in self.past]
        if crash is not None:
            process.line.gate = Gate(at=crash[0], way=crash[1])
        delivered = self.harness.deliver(process, *batch)
        process.line.gate = Gate()
        if not delivered:
            for entry in sorted(batch, key=_failed):
                assert self.harness.deliver(process, msgspec.structs.replace(entry, deliveries=2))

    def model_reports(self, batch: Sequence[Entry]) -> None:
        """The engine applies completions first, then failures."""
        for entry in sorted(batch, key=_failed):
            callback = msgspec.json.decode(entry.payload, type=Callback)
            self.model.report(callback.node, callback.attempt, isinstance(callback.outcome, Completed))

    def attempts(self, batch: Sequence[Entry]) -> set[tuple[str, int]]:
        """The attempts that a batch reports on."""
        callbacks = [msgspec.json.decode(entry.payload, type=Callback) for entry in batch]
        return {(callback.node, callback.attempt) for callback in callbacks}

    def model_starts(self, entry: Entry) -> None:
        """A start counts in its own run only."""
        message = msgspec.json.decode(entry.payload, type=StartExecution)
        if message.run == self.model.run and self.model.execution_status == "running":
            self.model.start()


def _failed(entry: Entry) -> bool:
    if entry.actor != "node_finished":
        return False
    return not isinstance(msgspec.json.decode(entry.payload, type=Callback).outcome, Completed)


@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 3))
def test_an_execution_under_everything_that_can_happen(valkey: Valkey) -> None:
    """Whatever the order, the repetitions and the deaths: the store and the model agree."""
    ExecutionMachine.url = valkey.url
    run_state_machine_as_test(
        ExecutionMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
