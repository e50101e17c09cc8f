"""An execution under everything that can happen to it, compared step by step with a small model.

Callbacks come late, twice, out of order and under two orchestrators at once; processes of all services
die or fail at any command, and what they held comes again when other things have happened; nodes time
out; failed executions are triggered again while the past still sends its callbacks. After each step
every invariant holds and the store says what the model says: where something that was struck is still
to come again, it may be behind, by what can only follow from that. `FLOWENGINE_FAULT_EXAMPLES` makes it
run for longer; `FLOWENGINE_FAULT_SHRINK=1` makes it look for the shortest way to a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, TypeAlias

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

from flowengine.errors import FlowEngineError, StoreUnavailableError, WrongStateError
from flowengine.execution.messages import Callback, Deadline, NextTry, StartExecution
from flowengine.execution.reports import Completed, Skipped
from flowengine.execution.rules.dispatching import Sizes
from flowengine.plugin import Context, HandlerError
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.connection.sessions import connect
from tests.property.graphs import graphs, sayings
from tests.support.checks.invariants import Stored, check, check_everything
from tests.support.checks.reference_model import Graph, Model
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Entry, Harness, OrchestratorProcess, Process, plan_of, silence
from tests.support.servers.valkey import Valkey

EXAMPLES = int(os.environ.get("FLOWENGINE_FAULT_EXAMPLES", "50"))
PHASES = (Phase.generate, *([Phase.shrink] if "FLOWENGINE_FAULT_SHRINK" in os.environ else []))
STEPS = 40
SMALL_CHUNK = 2

Crash: TypeAlias = tuple[int, Way] | None
"""At which of its commands a process is struck, and how; None: not at all."""

ways = st.sampled_from(WAYS)


def crashes(most: int) -> st.SearchStrategy[Crash]:
    """No crash, or one at one of so many commands."""
    return st.none() | st.tuples(st.integers(1, most), ways)


@contextmanager
def struck(process: Process, crash: Crash) -> Iterator[None]:
    """The process is struck at some command of what it does meanwhile; its death is no error here."""
    if crash is not None:
        process.line.gate = Gate(at=crash[0], way=crash[1])
    try:
        yield
    except ProcessDied:
        process.reborn()
    finally:
        process.line.gate = Gate()


class _About(msgspec.Struct):
    """Which dispatch a callback or a timer speaks of."""

    node: str
    dispatch: int


class ExecutionMachine(RuleBasedStateMachine):
    """One execution, from its creation to its last end."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.quiet = silence()
        self.quiet.__enter__()
        with connect(self.url) as client:
            client.flushall()
        # So long a lease that none lapses unless a rule says so.
        self.harness = Harness(
            self.url, settings=Settings(lease_s=60.0), sizes=Sizes(chunk_nodes=SMALL_CHUNK)
        )
        self.harness.second_orchestrator()
        self.outcomes: list[bool] = []
        self.harness.script = self.work
        self.past: list[Entry] = []
        self.struck: set[bytes] = set()

    @initialize(graph=graphs(), quick=st.booleans(), ruled=st.booleans(), data=st.data())
    def create(self, graph: Graph, quick: bool, ruled: bool, data: st.DataObject) -> None:
        """A pending execution; perhaps one whose nodes begin unnoted, or say when they run."""
        says = data.draw(sayings(graph)) if ruled else None
        self.model = Model(graph, says)
        if quick:
            self.harness.be_quick()
        self.execution = self.harness.create(plan_of(graph, reading=not quick, says=says))

    def work(self, context: Context) -> None:
        """What a node's handler does: succeeds or fails as the rule says."""
        if not self.outcomes[-1]:
            raise HandlerError("boom", "failed by the rule")

    # -- what may happen

    @precondition(lambda self: self.may_trigger)
    @rule(crash=crashes(20))
    def trigger(self, crash: Crash = None) -> None:
        """Start, or retry what failed; the API may be struck, and was heard or not."""
        run = None
        with struck(self.harness.api, crash):
            try:
                run = self.harness.trigger(self.execution)
            except StoreUnavailableError:
                assert crash is not None
        stored = int(self.harness.client.hget(keys.of().control(self.execution), "run"))
        assert run in (None, stored)
        if crash is None or stored != self.model.run:
            self.model.trigger()
        assert stored == self.model.run

    @precondition(lambda self: not self.may_trigger)
    @rule(crash=crashes(30))
    def look_on(self, crash: Crash) -> None:
        """A trigger is refused, and the sweep finds nothing to repair, wherever one of its turns is cut."""
        with pytest.raises(WrongStateError):
            self.harness.trigger(self.execution)
        process = self.harness.orchestrators[0]
        for strike in (None, crash, None, None):
            with struck(process, strike):
                try:
                    assert process.sweep.run() == 0
                except FlowEngineError:
                    assert strike is not None

    @precondition(lambda self: self.owed())
    @rule(data=st.data(), crash=crashes(40))
    def come_again(self, data: st.DataObject, crash: Crash) -> None:
        """What a process held that was struck is delivered again, alone; that may be struck as well."""
        entry = data.draw(st.sampled_from(self.owed()))
        match entry.actor:
            case "start_execution":
                self.begin_run(entry, crash, self.pick(data))
            case "timer_fired":
                self.expire(entry, crash, self.pick(data))
            case _:
                self.report([entry], crash, self.pick(data))

    @precondition(lambda self: self.orders("start_execution"))
    @rule(data=st.data(), crash=crashes(30))
    def start(self, data: st.DataObject, crash: Crash) -> None:
        """A start message is dealt with: this run's, or an old one that comes again."""
        entry = data.draw(st.sampled_from(self.orders("start_execution")))
        self.begin_run(entry, crash, self.pick(data))

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
    @rule(data=st.data(), crash=crashes(40))
    def finish(self, data: st.DataObject, crash: Crash) -> None:
        """A batch of callbacks, new and old, in any order; perhaps the orchestrator dies over it."""
        self.report(self.draw_batch(data), crash, self.pick(data))

    @precondition(lambda self: self.orders("node_finished"))
    @rule(data=st.data(), triggered=st.booleans(), skipped=st.integers(0, 2))
    def finish_at_once(self, data: st.DataObject, triggered: bool, skipped: int) -> None:
        """Two orchestrators at once: all of one's work falls between the other's reads and writes."""
        mine, theirs = self.draw_batch(data), self.draw_batch(data)
        first, second = self.harness.orchestrators

        def meanwhile() -> None:
            self.report(theirs, None, second)
            if triggered and self.may_trigger:
                self.trigger()

        first.state.between, first.state.skipped = meanwhile, skipped
        # What the model hears first does not matter unless both report on one attempt.
        if self.dispatches(mine) & self.dispatches(theirs):
            first.state.skipped = 0
        assert self.deliver(mine, None, first)
        if first.state.hooked:
            first.state.between, first.state.skipped = None, 0
            meanwhile()
        self.model_reports(mine)

    @precondition(lambda self: self.begun())
    @rule(data=st.data(), hangs=st.booleans(), crash=crashes(30), loop=crashes(8))
    def time_out(self, data: st.DataObject, hangs: bool, crash: Crash, loop: Crash) -> None:
        """A node's deadline passes: its worker hangs, and may still report, too late; or it waits for one."""
        node, dispatch = data.draw(st.sampled_from(self.begun()))
        self.harness.make_overdue(self.execution, node, dispatch)
        begun = self.harness.begun(self.execution, node, dispatch)
        for task in self.harness.tasks():
            if task.id.decode() == begun.place.partition("/")[0]:
                deliveries = begun.delivery if hangs else begun.delivery + 1
                self.harness.still_holding(msgspec.structs.replace(task, deliveries=deliveries))
        for strike in (loop, None):
            with struck(self.harness.orchestrators[0], strike):
                try:
                    self.harness.fire_timers()
                except StoreUnavailableError:
                    assert strike is not None
        seen = {entry.id for entry in self.past}
        for entry in [e for e in self.orders("timer_fired") if e.id not in seen]:
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: self.harness.client.exists(self.harness.keys.timers("retry")))
    @rule(data=st.data(), crash=crashes(30), loop=crashes(8))
    def end_pauses(self, data: st.DataObject, crash: Crash, loop: Crash) -> None:
        """The pauses of all nodes that wait for another try are over."""
        for strike in (loop, None):
            with struck(self.harness.orchestrators[0], strike):
                try:
                    self.harness.end_pauses()
                except StoreUnavailableError:
                    assert strike is not None
        seen = {entry.id for entry in self.past}
        for entry in [e for e in self.orders("timer_fired") if e.id not in seen]:
            self.expire(entry, crash, self.pick(data))

    @precondition(lambda self: self.old_timers())
    @rule(data=st.data())
    def repeat_timer(self, data: st.DataObject) -> None:
        """An old timer's message comes again: at most it makes up for what somebody left undone."""
        entry = data.draw(st.sampled_from(self.old_timers()))
        assert self.deliver([entry], None, self.pick(data))

    # -- what must hold

    @invariant()
    def agrees_with_the_model(self) -> None:
        """Node by node, and as a whole."""
        stored = check(self.harness.client, self.execution, settled=False)
        behind = self.behind(stored)
        if behind:
            assert self.owed(), f"nothing is to come that would dispatch {behind}"
        others = [node for node in self.model.graph if node not in behind]
        assert {node: stored.record(node).status for node in others} == {
            node: self.model.status[node] for node in others
        }
        assert {node: stored.record(node).attempt for node in others} == {
            node: self.model.attempt[node] for node in others
        }
        assert {node for node in others if stored.record(node).tolerated} == self.model.tolerated - set(
            behind
        )
        if stored.status != self.model.execution_status:
            assert stored.status == "running"
            assert self.owed(), "nothing is to come that would end the execution"

    def teardown(self) -> None:
        """Let everything that waits happen: the execution ends, and nothing is left."""
        try:
            if hasattr(self, "execution"):
                self.outcomes.append(True)
                if self.model.execution_status == "pending":
                    self.trigger()
                self.harness.drain()
                assert not self.harness.client.zrange(keys.of().index("running"), 0, -1)
                check_everything(self.harness.client)
        finally:
            self.harness.close()
            self.quiet.__exit__(None, None, None)

    # -- helpers of the rules

    @property
    def may_trigger(self) -> bool:
        """Whether a trigger is accepted: not while the end that the model sees is still to be written."""
        if not self.model.may_trigger:
            return False
        status = self.harness.client.hget(keys.of().control(self.execution), "status").decode()
        assert status == self.model.execution_status or (status == "running" and self.owed())
        return bool(status == self.model.execution_status)

    def owed(self) -> list[Entry]:
        """What a process held that was struck, and has not been dealt with since."""
        return [entry for entry in self.harness.waiting("orchestrator") if entry.id in self.struck]

    def behind(self, stored: Stored) -> list[str]:
        """The nodes that the model has in flight, and that nobody has come to dispatch yet."""
        return [
            node
            for node in self.model.graph
            if stored.record(node).status in ("pending", "waiting")
            and self.model.status[node] not in ("pending", "waiting")
            and stored.record(node).attempt == self.model.attempt[node] - self.is_queued(node)
        ]

    def is_queued(self, node: str) -> bool:
        """Whether the model has the node in flight."""
        return self.model.status[node] == "queued"

    def old_timers(self) -> list[Entry]:
        """The messages of timers that have been dealt with to the end."""
        owed = {entry.id for entry in self.owed()}
        return [entry for entry in self.orders("timer_fired") if entry.id not in owed]

    def begin_run(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """A start message is delivered, which counts in its own run only."""
        self.deliver([entry], crash, process)
        message = msgspec.json.decode(entry.payload, type=StartExecution)
        if message.run == self.model.run and self.model.execution_status == "running":
            self.model.start()

    def report(self, batch: Sequence[Entry], crash: Crash, process: OrchestratorProcess) -> None:
        """Callbacks are delivered; where that was struck, those count that have been applied."""
        if self.deliver(batch, crash, process):
            self.model_reports(batch)
        else:
            self.model_reports([entry for entry in batch if self.is_applied(entry)])

    def expire(self, entry: Entry, crash: Crash, process: OrchestratorProcess) -> None:
        """A timer's message is delivered; it fails its node if whoever began it still has it."""
        timer = msgspec.json.decode(entry.payload, type=Deadline | NextTry)
        if isinstance(timer, NextTry):
            if self.deliver([entry], crash, process) or self.is_over(entry):
                self.model.try_again(timer.node, timer.dispatch)
            return
        hung = self.has_hung(timer)
        if (self.deliver([entry], crash, process) or self.is_applied(entry)) and hung:
            self.model.report(timer.node, timer.dispatch, False, asked=False)

    def is_over(self, entry: Entry) -> bool:
        """Whether another dispatch has followed the one that a timer speaks of."""
        about = msgspec.json.decode(entry.payload, type=_About)
        record = check(self.harness.client, self.execution, settled=False).record(about.node)
        return record.dispatch != about.dispatch

    def is_applied(self, entry: Entry) -> bool:
        """Whether the attempt that a callback or a timer speaks of is over, by what is stored."""
        about = msgspec.json.decode(entry.payload, type=_About)
        record = check(self.harness.client, self.execution, settled=False).record(about.node)
        return record.dispatch != about.dispatch or record.status not in ("pending", "queued")

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
        """The dispatches that a worker has begun."""
        fields = self.harness.client.hkeys(keys.of().started(self.execution))
        parts = [field.decode().split(":") for field in fields]
        return sorted((node, int(dispatch)) for node, dispatch in parts)

    def has_hung(self, timer: Deadline) -> bool:
        """Whether whoever began an attempt an hour ago still has it."""
        begun = self.harness.begun(self.execution, timer.node, timer.dispatch)
        at = begun.place.partition("/")[0]
        counts = [task.deliveries for task in self.harness.tasks() if task.id.decode() == at]
        return counts == [begun.delivery] and begun.at < self.harness.now() - 1_000_000

    def deliver(self, batch: Sequence[Entry], crash: Crash, process: OrchestratorProcess) -> bool:
        """Give a batch to an orchestrator; False if it was struck: then the batch comes again some time."""
        self.past += [entry for entry in batch if entry not in self.past]
        with struck(process, crash):
            delivered = self.harness.deliver(process, *batch)
        assert delivered or crash is not None
        if not delivered:
            self.struck |= {entry.id for entry in batch}
        return delivered

    def model_reports(self, batch: Sequence[Entry]) -> None:
        """The engine applies completions first, then the rest. A record tells which of two counted."""
        for entry in sorted(batch, key=_is_no_completion):
            callback = msgspec.json.decode(entry.payload, type=Callback)
            outcome = None if isinstance(callback.outcome, Skipped) else _completed(callback)
            self.model.report(callback.node, callback.dispatch, outcome)

    def dispatches(self, batch: Sequence[Entry]) -> set[tuple[str, int]]:
        """The dispatches that a batch reports on."""
        callbacks = [msgspec.json.decode(entry.payload, type=Callback) for entry in batch]
        return {(callback.node, callback.dispatch) for callback in callbacks}


def _completed(callback: Callback) -> bool:
    return isinstance(callback.outcome, Completed)


def _is_no_completion(entry: Entry) -> bool:
    if entry.actor != "node_finished":
        return False
    return not _completed(msgspec.json.decode(entry.payload, type=Callback))


@pytest.mark.proves("random-order")
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
