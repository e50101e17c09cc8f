"""Start a pending execution, or run again what failed in a failed one.

One transaction does the whole reset and WATCHes the execution's control, so that of two triggers at once
exactly one applies. Its token tells a caller whose connection failed whether it was applied.
"""

from __future__ import annotations

import secrets
from typing import Final

from flowengine.engine.ports import CommandStore
from flowengine.errors import (
    ExecutionNotFoundError,
    FlowEngineError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Change
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.starting import first_run, retry_failed
from flowengine.execution.status import execution_may
from flowengine.execution.views import TriggeredView
from flowengine.workflow.plan import Plan

TRIES: Final = 50


def trigger(store: CommandStore, execution: str) -> TriggeredView:
    """The run that begins. Raises ExecutionNotFoundError, WrongStateError, TooManyExecutionsError,
    StoreFullError, StoreUnavailableError."""
    token = secrets.token_hex(8)
    for _ in range(TRIES):
        try:
            run = _try(store, execution, token)
        except StoreUnavailableError:
            run = _applied(store, execution, token)
            if run is None:
                raise
        if run is not None:
            return TriggeredView(execution_id=execution, status="running", run=run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _try(store: CommandStore, execution: str, token: str) -> int | None:
    """The new run; None when someone else changed the execution meanwhile."""
    plan = store.plan(execution)
    unit = store.begin_admitting(execution)
    try:
        record = unit.record
        if record is None or plan is None:
            raise ExecutionNotFoundError.of(execution)
        if not execution_may(record.status, "trigger"):
            raise WrongStateError(
                f"execution '{execution}' is {record.status}; only a pending or failed one can be triggered"
            )
        unit.admit()
    except FlowEngineError:
        unit.abandon()
        raise
    changes = _changes(store, execution, plan, record, token, unit.now)
    return record.run + 1 if unit.commit({execution: changes}) is not None else None


def _changes(
    store: CommandStore, execution: str, plan: Plan, record: ExecutionRecord, token: str, now: int
) -> list[Change]:
    if record.run == 0:
        return first_run(execution, plan, record, token, now)
    # Read without WATCH: while control says that it has ended, nothing changes a node.
    stored = store.read_nodes(execution, [node.id for node in plan.nodes])
    return retry_failed(execution, plan, record, stored, token, now)


def _applied(store: CommandStore, execution: str, token: str) -> int | None:
    record = store.read_execution(execution)
    return record.run if record is not None and record.token == token else None
