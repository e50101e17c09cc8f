"""Start a pending execution, or run again what failed in a failed one.

One transaction does the whole reset and WATCHes the execution's control, so that of two triggers at once
exactly one applies. Its token tells a caller whose connection failed whether it was applied.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from flowengine.engine.commands.create import stored_inputs
from flowengine.engine.ports import Admitting, CommandStore
from flowengine.errors import (
    ExecutionNotFoundError,
    FlowEngineError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Change, StoredInputs
from flowengine.execution.execution_fields import execution_fields
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.starting import first_run, retry_failed
from flowengine.execution.status import execution_may
from flowengine.execution.views import TriggeredView
from flowengine.jsonvalue import JsonValue, decode
from flowengine.workflow.plan import Plan

TRIES: Final = 50
MAX_DEFAULT_CHARS: Final = 1024 * 1024


def trigger(
    store: CommandStore,
    execution: str,
    inputs: Mapping[str, JsonValue] | None = None,
    *,
    max_chars: int = MAX_DEFAULT_CHARS,
) -> TriggeredView:
    """The run that begins. `inputs` take the place of those that it was created with, name by name; only the
    first trigger may have some. `max_chars` bounds the text of their defaults.

    Raises InputsInvalidError, ExecutionNotFoundError, WrongStateError, TooManyExecutionsError,
    StoreFullError, StoreUnavailableError.
    """
    token = secrets.token_hex(8)
    for _ in range(TRIES):
        try:
            run = _try(store, execution, token, inputs or {}, max_chars)
        except StoreUnavailableError:
            run = _applied(store, execution, token)
            if run is None:
                raise
        if run is not None:
            return TriggeredView(execution_id=execution, status="running", run=run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _try(
    store: CommandStore, execution: str, token: str, inputs: Mapping[str, JsonValue], max_chars: int
) -> int | None:
    """The new run; None when someone else changed the execution meanwhile."""
    plan = store.plan(execution)
    unit = store.begin_admitting(execution)
    try:
        record = unit.record
        if record is None or plan is None:
            raise ExecutionNotFoundError.of(execution)
        if not execution_may(record.status, "trigger"):
            raise WrongStateError(
                f"execution '{execution}' is {record.status}; only one that is pending, failed or cancelled "
                "can be triggered"
            )
        given = _inputs(unit, execution, plan, record, inputs, max_chars)
        unit.admit(0 if given is None else len(given.values))
    except FlowEngineError:
        unit.abandon()
        raise
    changes = _changes(store, execution, plan, record, token, unit.now, given)
    return record.run + 1 if unit.commit({execution: changes}) is not None else None


def _inputs(
    unit: Admitting,
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    given: Mapping[str, JsonValue],
    max_chars: int,
) -> StoredInputs | None:
    """All inputs of an execution that begins; None where nothing changes. Raises InputsInvalidError.

    Those that it was created with are read without WATCH: only a trigger changes them, and control with it.
    """
    if record.run:
        if given:
            raise WrongStateError(
                f"execution '{execution}' has its inputs from its first trigger: trigger it without inputs"
            )
        return None
    before = {} if unit.inputs is None else decode(unit.inputs)
    values = {**(before if isinstance(before, dict) else {}), **given}
    if plan.inputs is None and not given:
        return None
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.values import Occasion, complete

    begun = replace(record, started_at=unit.now)
    occasion = Occasion(execution_fields(execution, begun, 1), unit.now)
    completed = complete(plan.inputs, values, occasion, max_chars)
    return stored_inputs(plan, completed)


def _changes(
    store: CommandStore,
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    token: str,
    now: int,
    inputs: StoredInputs | None,
) -> list[Change]:
    if record.run == 0:
        return first_run(execution, plan, record, token, now, inputs)
    # Read without WATCH: while control says that it has ended, nothing changes a node.
    stored = store.read_nodes(execution, [node.id for node in plan.nodes])
    return retry_failed(execution, plan, record, stored, token, now)


def _applied(store: CommandStore, execution: str, token: str) -> int | None:
    record = store.read_execution(execution)
    return record.run if record is not None and record.token == token else None
