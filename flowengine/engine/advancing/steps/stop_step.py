"""An execution that bears the mark of a stop: end its nodes in bounded steps, then the execution.

Each step WATCHes control and what it ends, so that a report that comes meanwhile is not overwritten. A task
whose worker has noted its start is left until the worker says that it has stopped, or `stop_ms` are over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from flowengine.engine.advancing.follow_up import Follow, FollowUp
from flowengine.engine.advancing.reads import undecided
from flowengine.engine.held import Held
from flowengine.engine.ports import Acknowledge, AdvancingStore, Reading
from flowengine.errors import ConflictError
from flowengine.execution.changes import ArmTimer, Change
from flowengine.execution.messages import HooksTimeout, RunTimeout, StopExecution, StopOverdue
from flowengine.execution.records import UNTOUCHED, ExecutionRecord, NodeRecord, Stop, StopCause, is_open_map
from flowengine.execution.rules.dispatching import Run, Sizes
from flowengine.execution.rules.maps.children import runs_as_children, tend_items
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.starting import opening
from flowengine.execution.rules.stopping import mark, stop_node, tell, to_stop
from flowengine.execution.status import is_final, is_in_flight, is_over
from flowengine.execution.work import queue_of
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import Stage

STOP_S: Final = 30.0
TRIES: Final = 50
"""A step conflicts with each report of one of its nodes that is applied meanwhile."""


class _Stopping(msgspec.Struct, frozen=True):
    """An execution that is being stopped."""

    plan: Plan
    run: Run
    stop: Stop
    stage: Stage


class StopStep:
    """Carries out the messages and timers of stops."""

    def __init__(
        self, store: AdvancingStore, follow_up: FollowUp, sizes: Sizes, *, stop_ms: int, lease_ms: int
    ) -> None:
        self._store = store
        self._follow_up = follow_up
        self._sizes = sizes
        self._stop_ms = stop_ms
        self._lease_ms = lease_ms

    def fire(self, held: Held[StopExecution] | Held[StopOverdue]) -> None:
        """Deal with one message. One of a run that is over, or was never marked, is let go of.

        Raises ConflictError, StoreUnavailableError.
        """
        message = held.payload
        plan, record = self._store.plans_and_executions([message.execution])[message.execution]
        if plan is None or record is None or record.run != message.run:
            self._store.acknowledge(held.acknowledge)
        else:
            self.carry_out(plan, message.execution, record, held.acknowledge)
        held.confirm()

    def carry_out(
        self,
        plan: Plan,
        execution: str,
        record: ExecutionRecord,
        acknowledge: Acknowledge | None,
    ) -> None:
        """End what can be ended; wait for the rest, or, once that is overdue, wait no longer."""
        if is_over(record.status):
            self._let_go(acknowledge)
            return
        run = Run(execution, record.run, record.correlation_id)
        if record.stop is None:
            self._go_on(plan, run, record, acknowledge)
            return
        stopping = _Stopping(plan, run, record.stop, record.stage)
        stored = self._store.read_nodes(execution, plan.names(record.stage))
        self._tell(stopping, record, stored)
        for chunk in self._chunks(stopping, stored):
            self._end(stopping, chunk, stored)
        self._tend_items(stopping, stored)
        self._follow_up.carry_out([], None, [stopping.run])
        self._wait_for_the_rest(stopping, acknowledge)

    def _go_on(self, plan: Plan, run: Run, record: ExecutionRecord, acknowledge: Acknowledge | None) -> None:
        """The stop has ended one stage, and the next has begun: its first nodes may not have been sent."""
        positions = undecided(self._store, run.execution, plan, record.stage) if record.closing else ()
        follows = [Follow(run, plan, positions)] if positions else []
        self._follow_up.carry_out(follows, acknowledge, [run])

    def time_out(self, held: Held[RunTimeout] | Held[HooksTimeout]) -> None:
        """The time of a run, or of its hooks, is over: stop it, unless it has ended. Raises ConflictError,
        StoreUnavailableError."""
        timer = held.payload
        cause: StopCause = "hooks_timeout" if isinstance(timer, HooksTimeout) else "timeout"
        execution = self._store.read_execution(timer.execution)
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (timer.execution,)), exact_time=True)
            control = unit.controls.get(timer.execution)
            if execution is None or control is None or control.run != timer.run or is_over(control.status):
                break
            stop = Stop(cause, "failed", unit.now)
            changes = mark(control, Run(timer.execution, timer.run, execution.correlation_id), stop)
            if not changes:
                break
            if unit.commit({timer.execution: changes}, held.acknowledge) is not None:
                held.confirm()
                return
        else:
            raise ConflictError(f"execution '{timer.execution}' keeps changing")
        unit.abandon()
        self._store.acknowledge(held.acknowledge)
        held.confirm()

    # -- steps

    def _tell(self, stopping: _Stopping, record: ExecutionRecord, stored: dict[str, NodeRecord]) -> None:
        """Let the events tell of the stop, before they tell of the nodes."""
        execution, run = stopping.run.execution, stopping.run.run
        # Nothing is decided any more, so what was read stays true.
        unopened = (
            run == 1
            and stopping.stage == "main"
            and not any(found.dispatch or is_final(found.status) for found in stored.values())
        )
        first = opening(record) if unopened else None
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (execution,)))
            control = unit.controls.get(execution)
            changes = () if control is None or control.run != run else tell(control, first, unit.now)
            if not changes:
                unit.abandon()
                return
            if unit.commit({execution: changes}) is not None:
                return
        raise ConflictError(f"execution '{execution}' keeps changing")

    def _chunks(self, stopping: _Stopping, stored: dict[str, NodeRecord]) -> Iterator[Sequence[str]]:
        """Those that no worker has come first: no report conflicts with their end."""
        records = records_of(stored)
        names = to_stop(stopping.plan, records, stopping.stage)
        sent = [name for name in names if is_in_flight(records(name).status)]
        unsent = [name for name in names if not is_in_flight(records(name).status)]
        for group in (unsent, sent):
            for first in range(0, len(group), self._sizes.chunk_nodes):
                yield group[first : first + self._sizes.chunk_nodes]

    def _end(
        self,
        stopping: _Stopping,
        names: Sequence[str],
        stored: dict[str, NodeRecord],
    ) -> None:
        execution, records = stopping.run.execution, records_of(stored)
        starts = tuple(
            [
                (execution, name, records(name).dispatch)
                for name in names
                if is_in_flight(records(name).status)
            ]
        )
        reading = Reading(tuple([(execution, name) for name in names]), (execution,), starts=starts)
        settled: set[str] | None = None
        dispatches = {name: records(name).dispatch for name in names if is_open_map(records(name))}
        for _ in range(TRIES):
            unit = self._store.begin(reading)
            control = unit.controls.get(execution)
            changes: list[Change] = []
            running = {
                name
                for name, dispatch in dispatches.items()
                if self._store.has_items_begun(execution, name, dispatch)
            }
            if control is not None and control.run == stopping.run.run and control.stop is not None:
                late_ms = unit.now - control.stop.at - self._stop_ms
                if settled is None and starts and 0 <= late_ms < self._lease_ms:
                    settled = self._settled(stopping.plan, starts)
                for name in names:
                    record = unit.nodes.get((execution, name), UNTOUCHED)
                    begun = (execution, name, record.dispatch) in unit.begun or name in running
                    stays = late_ms < 0 or name in (settled or ()) or runs_as_children(record)
                    waits = begun and stays
                    changes += stop_node(stopping.run, name, record, control.stop, unit.now, begun=waits)
            if not changes:
                unit.abandon()
                return
            if unit.commit({execution: changes}) is not None:
                return
        raise ConflictError(f"nodes {list(names)[:3]} keep changing")

    def _tend_items(self, stopping: _Stopping, stored: dict[str, NodeRecord]) -> None:
        """Let the children be stopped that items of maps run as: their maps end after them."""
        if not any(runs_as_children(record) for record in stored.values()):
            return
        execution = stopping.run.execution
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (execution,)))
            control = unit.controls.get(execution)
            if control is None or control.run != stopping.run.run or is_over(control.status):
                unit.abandon()
                return
            if unit.commit({execution: [tend_items(stopping.run)]}) is not None:
                return
        raise ConflictError(f"execution '{execution}' keeps changing")

    def _settled(self, plan: Plan, starts: Sequence[tuple[str, str, int]]) -> set[str]:
        """Those of these nodes whose outcome is on its way: it was in time."""
        found = set()
        for execution, name, dispatch in starts:
            begun = self._store.begun(execution, name, dispatch)
            queue = queue_of(plan.nodes[plan.index[name]])
            if begun is not None and self._store.task_state(queue, begun) == "settled":
                found.add(name)
        return found

    def _wait_for_the_rest(self, stopping: _Stopping, acknowledge: Acknowledge | None) -> None:
        """Arm the timer that ends what does not end by itself, unless the execution has ended.

        After it, an outcome that is on its way has a lease to arrive.
        """
        execution, run = stopping.run.execution, stopping.run.run
        due = stopping.stop.at + self._stop_ms
        for _ in range(TRIES):
            unit = self._store.begin(Reading((), (execution,)))
            control = unit.controls.get(execution)
            next_due = due if unit.now < due else due + self._lease_ms
            is_last = unit.now >= next_due
            ended = control is None or control.stop is None or is_over(control.status)
            if ended or is_last or (control is not None and control.run != run):
                unit.abandon()
                self._let_go(acknowledge)
                return
            timer = ArmTimer(StopOverdue(execution=execution, run=run), next_due)
            if unit.commit({execution: [timer]}, acknowledge) is not None:
                return
        raise ConflictError(f"execution '{execution}' keeps changing")

    def _let_go(self, acknowledge: Acknowledge | None) -> None:
        if acknowledge is not None:
            self._store.acknowledge(acknowledge)
