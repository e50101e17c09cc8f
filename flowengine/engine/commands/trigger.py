"""Start a pending execution, or run again what failed or was cancelled in one that has ended so.

One transaction does the whole reset and WATCHes the execution's control, so that of two triggers at once
exactly one applies. Its token tells a caller whose connection failed whether it was applied.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.access.acting import acting_key
from flowengine.engine.commands.create import beginning
from flowengine.engine.ports import Acknowledge, Admitting, CommandStore
from flowengine.errors import (
    ExecutionNotFoundError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.changes import Answer, Change
from flowengine.execution.history.runs import Why
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.requests.idempotency import (
    AlreadyAnsweredError,
    IdempotentRequest,
    KeptTrigger,
    refuse_other,
)
from flowengine.execution.rules.starting import Given, first_run, retry_failed
from flowengine.execution.status import execution_may
from flowengine.execution.views import TriggeredView
from flowengine.jsonvalue import JsonValue, decode
from flowengine.workflow.plan import Plan

TRIES: Final = 50


class Brought(msgspec.Struct, frozen=True):
    """What comes with a trigger: it takes the place of what the execution was created with, name by name.

    Only the first trigger may bring something. `request`: the idempotent one that triggers, if it is one.
    """

    inputs: Mapping[str, JsonValue] = {}
    labels: Mapping[str, str] = {}
    request: IdempotentRequest | None = None


NOTHING_BROUGHT: Final = Brought()


class NewerRunError(WrongStateError):
    """The execution has been triggered since the run that was to be repeated."""


class Repeated(msgspec.Struct, frozen=True):
    """Why an execution is triggered again: for a message of this run, which the trigger acknowledges."""

    run: int
    acknowledge: Acknowledge


def trigger(
    store: CommandStore,
    execution: str,
    brought: Brought = NOTHING_BROUGHT,
    repeated: Repeated | None = None,
) -> TriggeredView:
    """The run that begins. With `repeated`, only if the last run is that one.

    Raises AlreadyAnsweredError, IdempotencyConflictError, InputsInvalidError, VarsInvalidError,
    ExecutionNotFoundError, WrongStateError, NewerRunError, TooManyExecutionsError, StoreFullError,
    StoreUnavailableError.
    """
    token = secrets.token_hex(8)
    for _ in range(TRIES):
        try:
            run = _try(store, execution, token, brought, repeated)
        except StoreUnavailableError:
            run = _applied(store, execution, token)
            if run is None:
                raise
        if run is not None:
            return _triggered(execution, run)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _try(
    store: CommandStore, execution: str, token: str, brought: Brought, repeated: Repeated | None
) -> int | None:
    """The new run; None when someone else changed the execution meanwhile."""
    plan = store.plan(execution)
    unit = store.begin_admitting(execution, brought.request)
    try:
        record = unit.record
        if record is None or plan is None:
            raise ExecutionNotFoundError.of(execution)
        if brought.request is not None and unit.kept is not None:
            refuse_other(unit.kept, brought.request)
            raise AlreadyAnsweredError(_triggered(execution, unit.kept.run))
        if repeated is not None and record.run > repeated.run:
            raise NewerRunError(f"execution '{execution}' is in run {record.run}, which is a newer one")
        if not execution_may(record.status, "trigger"):
            raise WrongStateError(
                f"execution '{execution}' is {record.status}; only one that is pending, failed or cancelled "
                "can be triggered"
            )
        if record.doomed:
            raise WrongStateError(f"execution '{execution}' is being deleted; post its workflow again")
        given = _beginning(unit, execution, plan, record, brought)
        unit.admit(0 if given is None or given.inputs is None else given.inputs.size)
    except BaseException:
        unit.abandon()
        raise
    if record.run:
        changes = _changes_of_retry(store, execution, plan, record, token, unit.now)
    else:
        had_inputs = unit.inputs is not None
        begins, by = given or Given(), acting_key()
        changes = first_run(execution, plan, record, token, unit.now, begins, had_inputs=had_inputs, by=by)
    if brought.request is not None:
        changes.append(Answer(brought.request.key, KeptTrigger(brought.request.content, record.run + 1)))
    committed = unit.commit({execution: changes}, None if repeated is None else repeated.acknowledge)
    return record.run + 1 if committed is not None else None


def _triggered(execution: str, run: int) -> TriggeredView:
    return TriggeredView(execution_id=execution, status="running", run=run)


def _beginning(
    unit: Admitting, execution: str, plan: Plan, record: ExecutionRecord, brought: Brought
) -> Given | None:
    """What a first run begins with; None where there is nothing to say. Raises InputsInvalidError,
    VarsInvalidError, WrongStateError.

    The inputs that it was created with are read without WATCH: only a trigger changes them, and control with
    it.
    """
    if record.run:
        if brought.inputs or brought.labels:
            what = "inputs" if brought.inputs else "labels"
            raise WrongStateError(
                f"execution '{execution}' has its {what} from its first trigger: trigger it without {what}"
            )
        return None
    labels = None
    if brought.labels:
        from flowengine.workflow.labels import merged

        labels = merged(record.labels, brought.labels)
        record = replace(record, labels=labels)
    before = {} if unit.inputs is None else decode(unit.inputs)
    values = {**(before if isinstance(before, dict) else {}), **brought.inputs}
    given = beginning(execution, plan, record, values, unit.now, stores=bool(brought.inputs))
    return given if labels is None else replace(given or Given(), labels=labels)


def _changes_of_retry(
    store: CommandStore, execution: str, plan: Plan, record: ExecutionRecord, token: str, now: int
) -> list[Change]:
    # Read without WATCH: while control says that it has ended, nothing changes a node.
    stored = store.read_nodes(execution, [node.id for node in plan.nodes])
    why = Why("trigger", by=acting_key())
    return retry_failed(execution, plan, record, stored, token, now, why)


def _applied(store: CommandStore, execution: str, token: str) -> int | None:
    record = store.read_execution(execution)
    return record.run if record is not None and record.token == token else None
