"""Delete an execution: at once, or, if it has not ended and is cancelled first, once it has ended.

After the transaction it is gone for everybody. An orchestrator removes what is left of it, in steps.
"""

from __future__ import annotations

from typing import Final

from flowengine.access.acting import acting_key
from flowengine.engine.commands.children import refuse_child
from flowengine.engine.ports import SteeringStore
from flowengine.errors import ExecutionNotFoundError, StoreUnavailableError, WrongStateError
from flowengine.execution.changes import Change
from flowengine.execution.records import ExecutionRecord, Stop
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.steering.deleting import deletion, doom, may_be_deleted, remove
from flowengine.execution.views.executions import DeletedView

TRIES: Final = 50
REASON: Final = "it is being deleted"


def delete(store: SteeringStore, execution: str, *, force: bool = False) -> DeletedView:
    """Delete it. `force`: one that has not ended is cancelled first. One that is doomed already stays so.

    Raises ExecutionNotFoundError, WrongStateError (it has not ended, or is a child), StoreUnavailableError.
    """
    refuse_child(store, execution, "delete")
    for _ in range(TRIES):
        unit = store.begin_command(execution)
        record = unit.record
        if record is None:
            unit.abandon()
            raise ExecutionNotFoundError.of(execution)
        gone = may_be_deleted(record.status)
        if not gone and not force and not record.doomed:
            unit.abandon()
            raise WrongStateError(
                f"execution '{execution}' is {record.status}; only one that has ended or was never triggered "
                "can be deleted: cancel it first, or delete it with ?force=true, which cancels it"
            )
        changes = _changes(execution, record, unit.now, gone=gone)
        if not changes:
            unit.abandon()
        if not changes or unit.commit({execution: changes}) is not None:
            return DeletedView(execution_id=execution, deleted=gone)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _changes(execution: str, record: ExecutionRecord, now: int, *, gone: bool) -> tuple[Change, ...]:
    run = Run(execution, record.run, record.correlation_id)
    if gone:
        return (*remove(record.control, run, now), deletion(run))
    stop = Stop("cancel", "cancelled", now, reason=REASON, by=acting_key())
    return doom(record.control, run, stop)
