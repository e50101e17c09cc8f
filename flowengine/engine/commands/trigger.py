"""Start a pending execution, or run again what failed or was cancelled in one that has ended so.

One transaction does the whole reset and WATCHes the execution's control, so that of two triggers at once
exactly one applies. Its token tells a caller whose connection failed whether it was applied.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from flowengine.access.acting import acting_key, acting_patterns
from flowengine.engine.commands.children import refuse_child
from flowengine.engine.limits.turn import place_of_run, take_turn
from flowengine.engine.ports import Acknowledge, Admitting, CommandStore
from flowengine.engine.starting.beginning import beginning
from flowengine.errors import (
    AlreadyTriggeredError,
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
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.queueing import line_up
from flowengine.execution.rules.starting import Given, first_run, maps_to_measure, retry_failed
from flowengine.execution.status import ExecutionStatus, execution_may
from flowengine.execution.views.executions import TriggeredView
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
    ExecutionNotFoundError, WrongStateError, NewerRunError, TooManyExecutionsError, ConcurrencyLimitError,
    StoreFullError, StoreUnavailableError.
    """
    refuse_child(store, execution, "trigger")
    token = secrets.token_hex(8)
    for _ in range(TRIES):
        try:
            begun = _try(store, execution, token, brought, repeated)
        except StoreUnavailableError:
            begun = _applied(store, execution, token)
            if begun is None:
                raise
        if begun is not None:
            status = begun.status if begun.status == "running" else take_turn(store, execution)
            return _triggered(execution, begun.run, status)
    raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")


def _try(
    store: CommandStore, execution: str, token: str, brought: Brought, repeated: Repeated | None
) -> _Begun | None:
    """The new run; None when someone else changed the execution meanwhile."""
    plan = store.plan(execution)
    unit = store.begin_admitting(execution, brought.request, inputs=True)
    try:
        record = unit.record
        if record is None or plan is None:
            raise ExecutionNotFoundError.of(execution)
        if brought.request is not None and unit.kept is not None:
            refuse_other(unit.kept, brought.request)
            # One that was withdrawn from its line has begun nothing.
            if unit.kept.run <= record.run:
                raise AlreadyAnsweredError(_triggered(execution, unit.kept.run, "running"))
        if repeated is not None and record.run > repeated.run:
            raise NewerRunError(f"execution '{execution}' is in run {record.run}, which is a newer one")
        if record.status == "pending" and record.run:
            raise AlreadyTriggeredError(
                f"execution '{execution}' was triggered, and waits for its turn to run: see its 'waiting_for'"
            )
        _refuse_fork(execution, record)
        if not execution_may(record.status, "trigger"):
            raise WrongStateError(
                f"execution '{execution}' is {record.status}; only one that is pending, failed or cancelled "
                "can be triggered"
            )
        if record.doomed:
            raise WrongStateError(f"execution '{execution}' is being deleted; post its workflow again")
        given = _beginning(unit, execution, plan, record, brought)
        unit.admit(0 if given is None or given.inputs is None else given.inputs.size)
        place = place_of_run(store, plan, None if given is None else given.key, record, unit.now)
    except BaseException:
        unit.abandon()
        raise
    if record.run:
        changes = _changes_of_retry(store, execution, plan, record, token, unit.now)
    else:
        had_inputs = unit.inputs is not None
        begins, by = given or Given(), acting_key()
        changes = first_run(
            execution,
            plan,
            record,
            token,
            unit.now,
            begins,
            had_inputs=had_inputs,
            by=by,
            allowed=acting_patterns(),
        )
    if place is not None:
        changes = line_up(Run(execution, record.run + 1, record.correlation_id), changes, place)
    if brought.request is not None:
        changes.append(Answer(brought.request.key, KeptTrigger(brought.request.content, record.run + 1)))
    committed = unit.commit({execution: changes}, None if repeated is None else repeated.acknowledge)
    if committed is None:
        return None
    return _Begun(record.run + 1, "running" if place is None else "pending")


def _refuse_fork(execution: str, record: ExecutionRecord) -> None:
    """A fork begins by itself, or never."""
    if record.origin is None or record.run:
        return
    if record.status == "pending":
        raise AlreadyTriggeredError(
            f"execution '{execution}' copies what it reuses of '{record.origin.execution}', and begins by "
            "itself"
        )
    raise WrongStateError(
        f"execution '{execution}' ended before it had copied what it reuses: rerun "
        f"'{record.origin.execution}' as a new one again"
    )


class _Begun(NamedTuple):
    """A run that has begun, or has lined up."""

    run: int
    status: ExecutionStatus


def _triggered(execution: str, run: int, status: ExecutionStatus) -> TriggeredView:
    return TriggeredView(execution_id=execution, status=status, run=run)


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
    measured, may = store.bytes_of_items(execution, maps_to_measure(stored)), acting_patterns()
    return retry_failed(execution, plan, record, stored, token, now, why, allowed=may, of_items=measured)


def _applied(store: CommandStore, execution: str, token: str) -> _Begun | None:
    record = store.read_execution(execution)
    if record is None or record.token != token:
        return None
    return _Begun(record.run, "pending" if record.status == "pending" else "running")
