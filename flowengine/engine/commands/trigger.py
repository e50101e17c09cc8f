"""Start a pending execution, or run again what failed or was cancelled in one that has ended so.

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
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Change
from flowengine.execution.execution_fields import execution_fields
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.starting import Given, first_run, retry_failed
from flowengine.execution.status import execution_may
from flowengine.execution.views import TriggeredView
from flowengine.jsonvalue import JsonValue, decode
from flowengine.workflow.plan import Plan

TRIES: Final = 50


def trigger(
    store: CommandStore,
    execution: str,
    inputs: Mapping[str, JsonValue] | None = None,
) -> TriggeredView:
    """The run that begins. `inputs` take the place of those that it was created with, name by name; only the
    first trigger may have some.

    Raises InputsInvalidError, VarsInvalidError, ExecutionNotFoundError, WrongStateError,
    TooManyExecutionsError, StoreFullError, StoreUnavailableError.
    """
    token = secrets.token_hex(8)
    for _ in range(TRIES):
        try:
            run = _try(store, execution, token, inputs or {})
        except StoreUnavailableError:
            run = _applied(store, execution, token)
            if run is None:
                raise
        if run is not None:
            return TriggeredView(execution_id=execution, status="running", run=run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _try(store: CommandStore, execution: str, token: str, inputs: Mapping[str, JsonValue]) -> int | None:
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
        given = _beginning(unit, execution, plan, record, inputs)
        unit.admit(0 if given is None or given.inputs is None else given.inputs.size)
    except BaseException:
        unit.abandon()
        raise
    changes = _changes(store, execution, plan, record, token, unit.now, given)
    return record.run + 1 if unit.commit({execution: changes}) is not None else None


def _beginning(
    unit: Admitting,
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    given: Mapping[str, JsonValue],
) -> Given | None:
    """What a first run begins with; None where there is nothing to say. Raises InputsInvalidError,
    VarsInvalidError.

    The inputs that it was created with are read without WATCH: only a trigger changes them, and control with
    it.
    """
    if record.run:
        if given:
            raise WrongStateError(
                f"execution '{execution}' has its inputs from its first trigger: trigger it without inputs"
            )
        return None
    says_something = plan.inputs is not None or plan.vars or given
    if not says_something and not any(policy.given for policy in plan.policies.values()):
        return None
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.beginning import begin
    from flowengine.workflow.inputs.values import Occasion

    before = {} if unit.inputs is None else decode(unit.inputs)
    values = {**(before if isinstance(before, dict) else {}), **given}
    begun = replace(record, started_at=unit.now)
    found = begin(plan, values, Occasion(execution_fields(execution, begun, 1), unit.now))
    return Given(stored_inputs(plan, found.inputs, found.vars) if says_something else None, found.conditions)


def _changes(
    store: CommandStore,
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    token: str,
    now: int,
    given: Given | None,
) -> list[Change]:
    if record.run == 0:
        return first_run(execution, plan, record, token, now, given or Given())
    # Read without WATCH: while control says that it has ended, nothing changes a node.
    stored = store.read_nodes(execution, [node.id for node in plan.nodes])
    return retry_failed(execution, plan, record, stored, token, now)


def _applied(store: CommandStore, execution: str, token: str) -> int | None:
    record = store.read_execution(execution)
    return record.run if record is not None and record.token == token else None
