"""Decide about a node that asks for an approval: one transaction, in which the node ends.

What runs then is left to an orchestrator: a message in the same transaction tells it.
"""

from __future__ import annotations

from typing import Final

from flowengine.access.acting import acting_key
from flowengine.engine.commands.answering.addressing import Pick, find_node
from flowengine.engine.commands.answering.ending_below import end_with_all_below
from flowengine.engine.commands.answering.payload_check import check_payload
from flowengine.engine.ports import CommandStore, DecidingUnit, Reading
from flowengine.errors import (
    ExecutionNotFoundError,
    ResultInvalidError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Change, Send, Write
from flowengine.execution.messages import NodeOverruled
from flowengine.execution.records import COUNTED_RESULT_BYTES, UNTOUCHED, Control, Decided, ExecutionRecord
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.waits.deciding import Answer, decided, first_decision, refusal
from flowengine.execution.status import NodeStatus, shown
from flowengine.execution.views.executions import DecidedView, DecisionView, decision_view
from flowengine.workflow.plan import Plan

TRIES: Final = 50


class AlreadyDecidedError(WrongStateError):
    """Somebody has decided before; `decision` is what they have decided."""

    code = "already_decided"

    def __init__(self, node: str, first: Decided) -> None:
        word = "approved" if first.approved else "rejected"
        who = "" if first.by is None else f" by '{first.by}'"
        self.decision: DecisionView = decision_view(first)
        super().__init__(f"node '{node}' was {word}{who} at {self.decision.at}: a decision counts once")


def decide(store: CommandStore, execution: str, node: str, answer: Answer) -> DecidedView:
    """Let the node end as a person decides. `node`: its id, or `group.node`.

    Raises ExecutionNotFoundError, NodeNotFoundError, PayloadInvalidError, AlreadyDecidedError,
    WrongStateError (it does not ask), ResultInvalidError, StoreUnavailableError.
    """
    execution, node = find_node(store, execution, node, Pick(answer.item, answer.iteration))
    record, plan = store.read_execution(execution), store.plan(execution)
    if record is None or plan is None:
        raise ExecutionNotFoundError.of(execution)
    position = plan.index[node]
    waits = plan.policy(position).waits
    if answer.approved and waits is not None:
        check_payload(waits.schema, answer.data, "/data")
    attempt = _Attempt(store, plan, execution, record, position, answer)
    for _ in range(TRIES):
        view = attempt.carry_out()
        if view is not None:
            return view
    raise StoreUnavailableError(f"node '{node}' of execution '{execution}' keeps changing; try again")


class _Attempt:
    """One unit at a time: what it reads, and what it makes of that."""

    def __init__(
        self,
        store: CommandStore,
        plan: Plan,
        execution: str,
        record: ExecutionRecord,
        position: int,
        answer: Answer,
    ) -> None:
        self._store = store
        self._plan = plan
        self._execution = execution
        self._record = record
        self._position = position
        self._answer = answer
        self._name = plan.nodes[position].id
        self._reading = Reading(((execution, self._name),), (execution,), (execution,))

    def carry_out(self) -> DecidedView | None:
        """The node's new state; None where others changed it meanwhile."""
        unit = self._store.begin_deciding(self._reading)
        try:
            control = unit.controls.get(self._execution)
            if control is None:
                raise ExecutionNotFoundError.of(self._execution)
            self._refuse(unit, control)
            decision, first = self._decide(unit, control)
        except BaseException:
            unit.abandon()
            raise
        run = control.run
        message = NodeOverruled(
            execution=self._execution,
            run=run,
            node=self._name,
            correlation_id=self._record.correlation_id,
        )
        if unit.commit({self._execution: (*decision.changes, Send(message))}) is None:
            return None
        status, attempt = self._written(decision.changes)
        return DecidedView(
            execution_id=self._execution,
            node=self._name,
            status=status,
            run=run,
            attempt=attempt,
            decision=decision_view(first),
        )

    def _refuse(self, unit: DecidingUnit, control: Control) -> None:
        before = unit.nodes.get((self._execution, self._name), UNTOUCHED)
        first = first_decision(before)
        if first is not None and before.run == control.run:
            raise AlreadyDecidedError(self._name, first)
        against = refusal(self._plan, self._execution, control, self._position, before, self._answer)
        if against is not None:
            raise WrongStateError(against)
        most, size = self._store.max_execution_result_bytes, len(self._answer.data)
        if size >= COUNTED_RESULT_BYTES and size > most - unit.counts[self._execution].bytes:
            raise ResultInvalidError(
                f"these data of {size} bytes would take the execution's results over {most} bytes "
                "(FLOWENGINE_MAX_EXECUTION_RESULT_BYTES)"
            )

    def _decide(self, unit: DecidingUnit, control: Control) -> tuple[Decision, Decided]:
        """What follows from its end, and what is told of it."""
        execution, name, by = self._execution, self._name, acting_key()
        run = Run(execution, control.run, self._record.correlation_id)
        before = unit.nodes[execution, name]
        callback = decided(self._plan, self._position, run, before, self._answer, by, unit.now)
        decision = end_with_all_below(self._plan, unit, control, callback)
        return decision, Decided(self._answer.approved, unit.now, by, self._answer.comment)

    def _written(self, changes: tuple[Change, ...]) -> tuple[NodeStatus, int]:
        """The status and the attempt that the node has now."""
        return next(
            (shown(change.record.status), change.record.attempt)
            for change in changes
            if isinstance(change, Write) and change.node == self._name
        )
