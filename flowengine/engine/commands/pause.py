"""Pause an execution, and let it go on: one transaction each, however many nodes there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowengine.access.acting import acting_key
from flowengine.engine.commands.children import refuse_child
from flowengine.engine.ports import SteeringStore
from flowengine.errors import ExecutionNotFoundError, StoreUnavailableError, WrongStateError
from flowengine.execution.changes import Change
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.steering import pausing
from flowengine.execution.status import ExecutionStatus
from flowengine.execution.views.executions import SteeredView

TRIES: Final = 50


def pause(store: SteeringStore, execution: str) -> SteeredView:
    """From now on nothing new is dispatched. One that is paused already stays so.

    Raises ExecutionNotFoundError, WrongStateError (it does not run, or is a child), StoreUnavailableError.
    """
    refuse_child(store, execution, "pause")

    def changes(record: ExecutionRecord, now: int) -> tuple[Change, ...]:
        run, plan = Run(execution, record.run, record.correlation_id), store.plan(execution)
        nests = plan is not None and plan.nests
        return pausing.pause(record.control, run, now, acting_key(), nests=nests)

    return _steer(store, execution, "paused", changes)


def resume(store: SteeringStore, execution: str) -> SteeredView:
    """Let it go on. One that runs already is left as it is.

    Raises ExecutionNotFoundError, WrongStateError (it neither runs nor is paused, or is a child),
    StoreUnavailableError.
    """
    refuse_child(store, execution, "resume")

    def changes(record: ExecutionRecord, now: int) -> tuple[Change, ...]:
        run = Run(execution, record.run, record.correlation_id)
        return pausing.resume(record.control, run, now, acting_key())

    return _steer(store, execution, "running", changes)


def _steer(
    store: SteeringStore,
    execution: str,
    leads_to: ExecutionStatus,
    decide: Callable[[ExecutionRecord, int], tuple[Change, ...]],
) -> SteeredView:
    for _ in range(TRIES):
        unit = store.begin_command(execution)
        record = unit.record
        if record is None:
            unit.abandon()
            raise ExecutionNotFoundError.of(execution)
        if not pausing.may_be_held(record.control):
            unit.abandon()
            state = "being stopped" if record.stop is not None and record.finished_at == 0 else record.status
            raise WrongStateError(
                f"execution '{execution}' is {state}; only what runs can be paused, and only what is paused "
                "goes on"
            )
        changes = decide(record, unit.now)
        if not changes:
            unit.abandon()
            return SteeredView(execution_id=execution, status=record.status, run=record.run)
        if unit.commit({execution: changes}) is not None:
            return SteeredView(execution_id=execution, status=leads_to, run=record.run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")
