"""Cancel an execution: mark it, or, if it was never triggered, end it.

Marking is one transaction, however many nodes there are; an orchestrator ends them afterwards.
"""

from __future__ import annotations

from typing import Final

from flowengine.access.acting import acting_key
from flowengine.engine.ports import SteeringStore
from flowengine.errors import ExecutionNotFoundError, StoreUnavailableError, WrongStateError
from flowengine.execution.changes import Change
from flowengine.execution.records import ExecutionRecord, Stop
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.stopping import cancel_before_start, mark
from flowengine.execution.status import ExecutionStatus, is_over
from flowengine.execution.views.executions import CancelledView
from flowengine.workflow.children.lineage import Lineage

TRIES: Final = 50


def cancel(store: SteeringStore, execution: str, *, reason: str | None = None) -> CancelledView:
    """Cancel it. One that is being stopped already goes on being so, for the first cause.

    Raises ExecutionNotFoundError, WrongStateError (it has ended), StoreUnavailableError.
    """
    for _ in range(TRIES):
        unit = store.begin_command(execution)
        record = unit.record
        if record is None:
            unit.abandon()
            raise ExecutionNotFoundError.of(execution)
        if is_over(record.status):
            unit.abandon()
            raise WrongStateError(f"execution '{execution}' is {record.status}: there is nothing to cancel")
        plan = store.plan(execution) if is_child(execution) else None
        lineage = None if plan is None else plan.lineage
        changes = _changes(execution, record, reason, unit.now, lineage)
        if not changes:
            unit.abandon()
            return CancelledView(execution_id=execution, status=record.status, run=record.run)
        if unit.commit({execution: changes}) is not None:
            status: ExecutionStatus = "cancelling" if record.status != "pending" else "cancelled"
            return CancelledView(execution_id=execution, status=status, run=record.run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _changes(
    execution: str, record: ExecutionRecord, reason: str | None, now: int, lineage: Lineage | None
) -> tuple[Change, ...]:
    stop = Stop("cancel", "cancelled", now, reason=reason, by=acting_key())
    run = Run(execution, record.run, record.correlation_id)
    if record.status == "pending":
        return cancel_before_start(record, run, stop, lineage)
    return mark(record.control, run, stop)
