"""One execution in memory, moved by the pure rules alone: no Redis, no messages, no threads.

What a decision asks for is read, and nothing else; what waits for a counter is looked at when the counter
says so. After each step all numbers must be those of the records, and nothing may be left to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from flowengine.engine.advancing.follow_up import following
from flowengine.execution.changes import (
    ArmTimer,
    Begin,
    Change,
    CountDown,
    Dispatch,
    Finish,
    Happened,
    Tally,
    Write,
)
from flowengine.execution.events import Event, fold
from flowengine.execution.messages import Callback, NextTry, RunNode
from flowengine.execution.records import UNTOUCHED, Control, Counts, ExecutionRecord, NodeRecord
from flowengine.execution.reports import ByDelivery, Completed, Failed, Outcome
from flowengine.execution.rules.concluding import conclude
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.descent import Descent, Grounds
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes, chunks, readable, try_again
from flowengine.execution.rules.finishing import children_with_it, finish
from flowengine.execution.rules.readiness import (
    count_of,
    counter_of,
    decidable,
    ends_of,
    records_of,
    step_of_counter,
)
from flowengine.execution.rules.starting import Again, begin_again, first_run, retry_failed
from flowengine.execution.rules.steering.rerunning import Rerun, Wanted, rerun_of
from flowengine.execution.status import ExecutionStatus, is_final, may
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy, TriggerRule
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import BROKEN, COMPLETED

START: Final = 1_000_000
TOLERATING: Final = Policy(tolerates=True)


def ruled(rule: TriggerRule) -> Policy:
    """The policy of a node that names its trigger rule and nothing else."""
    return Policy(trigger_rule=rule)


def with_policies(plan: Plan, policies: Mapping[str, Policy]) -> Plan:
    """The plan with what its nodes say, by their names."""
    return msgspec.structs.replace(
        plan, policies={plan.index[name]: policy for name, policy in policies.items()}
    )


class World:
    """One execution: `tasks` are those in flight, `timers` those of nodes that wait for another try."""

    def __init__(
        self, graph: Graph, policies: Mapping[str, Policy] | None = None, *, sizes: Sizes = SIZES
    ) -> None:
        self.plan = with_policies(plan_of(graph), policies or {})
        self.sizes = sizes
        self.records: dict[str, NodeRecord] = {}
        self.tasks: dict[str, RunNode] = {}
        self.timers: dict[str, tuple[NextTry, int]] = {}
        self.counters: dict[str, int] = {}
        self.events: list[Event] = []
        self.status: ExecutionStatus = "pending"
        self.run = 0
        self.now = START
        self.read: set[str] = set()
        """What the last transaction has read."""
        self._counts = Counts()

    # -- what happens

    def trigger(self) -> None:
        """Begin, or begin again, and dispatch what can be."""
        if self.run:
            self._begin(retry_failed("x", self.plan, self._execution(), self.records, "t", self.now))
        else:
            self._begin(first_run("x", self.plan, self._execution(), "t", self.now))

    def rerun(self, wanted: Wanted) -> Rerun:
        """Begin again what is wanted, and dispatch what can be."""
        found = rerun_of(self.plan, records_of(self.records), wanted)
        again = Again("rerun", "t", found)
        self._begin(begin_again("x", self.plan, self._execution(), self.records, again, self.now))
        return found

    def _execution(self) -> ExecutionRecord:
        return ExecutionRecord(
            status=self.status,
            run=self.run,
            total=len(self.plan.nodes),
            created_at=1,
            started_at=2,
            finished_at=0,
            correlation_id="c",
            name="test",
            token="",
        )

    def _begin(self, changes: Iterable[Change]) -> None:
        self._apply(changes)
        self._follow(decidable(self.plan, records_of(self.records)))
        self._check()

    def report(self, node: str, outcome: Outcome = COMPLETED) -> Decision:
        """The outcome of a node in flight, and all that follows."""
        task = self.tasks.pop(node)
        self.now += 1
        callback = Callback(
            execution="x",
            run=task.run,
            node=node,
            dispatch=task.dispatch,
            attempt=task.attempt,
            by=ByDelivery(1, self.now),
            finished_at=self.now,
            outcome=outcome,
            correlation_id="c",
        )
        decision = self._decide(callback)
        self._apply(decision.changes)
        self._look_at([self.plan.index[join] for join in decision.joins], decision.later)
        self._conclude()
        self._check()
        return decision

    def complete(self, *nodes: str) -> None:
        """These complete, one after the other."""
        for node in nodes:
            self.report(node)

    def fail(self, *nodes: str, code: str = BROKEN.code) -> None:
        """These fail, one after the other."""
        for node in nodes:
            self.report(node, Failed(msgspec.structs.replace(BROKEN, code=code)))

    def pass_pauses(self) -> None:
        """The pauses of all waiting nodes are over."""
        for node, (timer, due) in list(self.timers.items()):
            del self.timers[node]
            self.now = max(self.now, due)
            record = self.records[node]
            assert may(record.status, "try_again")
            assert record.dispatch == timer.dispatch
            self._apply(try_again(self.plan, self.plan.index[node], record, self._run(), self.now))
        self._check()

    def end(self) -> None:
        """What is in flight completes, until nothing is."""
        while self.tasks:
            self.complete(*list(self.tasks))

    # -- what is

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each node. A failed one may be `tolerated`, or `failing`: not settled."""
        return {node.id: self.status_of(node.id) for node in self.plan.nodes}

    def status_of(self, node: str) -> str:
        """The same of one node."""
        record = self.records.get(node, UNTOUCHED)
        return "tolerated" if record.tolerated else "failing" if record.unsettled else record.status

    def causes(self) -> dict[str, str | None]:
        """The failed nodes, and from where they have inherited their failures."""
        return {
            name: record.error.caused_by for name, record in self.records.items() if record.error is not None
        }

    # -- how it goes on

    def _run(self) -> Run:
        return Run("x", self.run, "c")

    def _record(self, name: str) -> NodeRecord:
        assert name in self.read, f"'{name}' is decided on and was not read"
        return self.records.get(name, UNTOUCHED)

    def _decide(self, callback: Callback) -> Decision:
        position, left = self.plan.index[callback.node], self.sizes.transaction_bytes
        completed = isinstance(callback.outcome, Completed)
        below = children_with_it(self.plan, position, self.sizes, left) if completed else ()
        self.read = {self.plan.nodes[read].id for read in (position, *below)}
        control = Control(self.status, self.run)
        while True:
            found = finish(self.plan, control, self._record, callback, self.now, self.sizes, left, self.read)
            if not found.unread:
                return found
            assert not self.read & set(found.unread), "read twice"
            self.read.update(found.unread)

    def _look_at(self, joins: Iterable[int], later: Sequence[int]) -> None:
        counters = {self.plan.nodes[join].id: self.counters.get(self.plan.nodes[join].id) for join in joins}
        follow = following(self._run(), self.plan, counters, later)
        if follow is not None:
            for chunk in chunks(self.plan, follow.positions, self.sizes):
                self._follow(chunk, [position for position in chunk if position in follow.completed])

    def _follow(self, positions: Sequence[int], completed: Sequence[int] = ()) -> None:
        plan = self.plan
        self.read = {plan.nodes[position].id for position in positions}
        for position in positions:
            seen = () if position in completed else plan.nodes[position].parents
            early = readable(plan, position) if plan.begins_early[position] else ()
            self.read |= {plan.nodes[read].id for read in (*seen, *early)}
        descent = self._descend(positions, completed)
        while descent.unread:
            self.read |= {plan.nodes[unread].id for unread in descent.unread}
            descent = self._descend(positions, completed)
        self._apply([*descent.changes, descent.tally])
        if descent.joins or descent.later:
            self._look_at(descent.joins, tuple(descent.later))
        self._conclude()

    def _descend(self, positions: Sequence[int], completed: Sequence[int]) -> Descent:
        left = self.sizes.transaction_bytes
        grounds = Grounds(
            self.plan, self._run(), self._record, self.read, self.now, self.sizes, left, dispatches=True
        )
        descent = Descent(grounds)
        for position in positions:
            if position in completed:
                descent.look_after_completions(position)
            else:
                descent.look(position, ends_of(self.plan, self._record, position))
        descent.finish()
        return descent

    def _conclude(self) -> None:
        if self.status == "running":
            control = Control(self.status, self.run)
            self._apply(conclude(self.plan, self._run(), control, self._counts, self.now))

    # -- changes

    def _apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Begin():
                    self.status, self.run = change.status, change.run
                    self._counts = Counts(change.unfinished, len(change.failures))
                    self.counters = dict(change.counters)
                    self.events = [] if change.events_anew else self.events
                case Write():
                    self.records[change.node] = change.record
                case Dispatch():
                    self.records[change.task.node] = change.record
                    assert change.task.node not in self.tasks, "in flight twice"
                    self.tasks[change.task.node] = change.task
                case CountDown():
                    step = step_of_counter(completed=change.completed)
                    self.counters[change.node] = self.counters.get(change.node, 0) + step
                case Tally():
                    self._counts = Counts(
                        self._counts.unfinished + change.unfinished, self._counts.failed + change.failed
                    )
                case ArmTimer(timer=NextTry() as timer, due=due):
                    self.timers[timer.node] = (timer, due)
                case Happened():
                    self.events.append(change.event)
                case Finish():
                    self.status = change.status
                case _:
                    pass

    # -- what must hold

    def _check(self) -> None:
        """All numbers are those of the records; nothing is left to decide; nothing hangs."""
        lookup = records_of(self.records)
        found = count_of(self.plan, lookup)
        assert (self._counts.unfinished, self._counts.failed) == (found.unfinished, found.failed)
        for position, node in enumerate(self.plan.nodes):
            record = lookup(node.id)
            if node.is_join and (may(record.status, "dispatch") or record.unsettled):
                assert self.counters[node.id] == counter_of(self.plan, lookup, position), node.id
        stored = {
            name: (record.status, record.attempt, record.dispatch)
            for name, record in self.records.items()
            if record != UNTOUCHED
        }
        assert fold(self.events) == stored
        assert decidable(self.plan, lookup) == (), self.statuses
        ended = all(is_final(lookup(node.id).status) for node in self.plan.nodes)
        assert ended == (self.status != "running")
        assert ended or self.tasks or self.timers, f"it hangs: {self.statuses}"
        assert not ended or not any(lookup(node.id).unsettled for node in self.plan.nodes)
