"""Accept a workflow: store it as a pending execution, or as one that begins at once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from flowengine.engine.ports import CommandStore
from flowengine.execution.changes import Create, StoredInputs
from flowengine.execution.execution_fields import execution_fields
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.starting import Given, first_run
from flowengine.execution.views import CreatedView, StartedView, moment
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.workflow.inputs.declared import secret_names
from flowengine.workflow.plan import Plan, encode_plan


class New(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution is made of. `inputs`: those that are known already. `labels`: all of them.
    `document`: what its plan was compiled from, packed."""

    plan: Plan
    correlation_id: str
    inputs: Mapping[str, JsonValue] = {}
    labels: Mapping[str, str] = {}
    document: bytes | None = None


def create(store: CommandStore, new: New) -> CreatedView:
    """Store a new pending execution, which expires by itself if it is never triggered.

    Raises InputsInvalidError, TooManyExecutionsError, StoreFullError, StoreUnavailableError.
    """
    given = _given(new.plan, new.inputs) if new.inputs else None
    encoded = encode_plan(new.plan)
    with store.letting_in(_size(new, encoded, given)):
        now = store.now()
        execution = id_of_new(store, now)
        store.write({execution: [_made(new, encoded, now, given)]})
    store.keep_plan(execution, encoded, new.plan)
    return CreatedView(
        execution_id=execution,
        name=new.plan.name,
        status="pending",
        created_at=moment(now),
        correlation_id=new.correlation_id,
    )


def create_and_start(store: CommandStore, new: New) -> StartedView:
    """Store a new execution that has begun already: one transaction.

    Raises InputsInvalidError, VarsInvalidError, TooManyExecutionsError, StoreFullError,
    StoreUnavailableError: then it may have been stored and begun.
    """
    plan, token = new.plan, secrets.token_hex(8)
    encoded = encode_plan(plan)
    now = store.now()
    execution = id_of_new(store, now)
    record = ExecutionRecord(
        status="pending",
        run=0,
        total=len(plan.main),
        created_at=now,
        started_at=0,
        finished_at=0,
        correlation_id=new.correlation_id,
        name=plan.name,
        token="",
        labels=new.labels,
    )
    stores = bool(new.inputs)
    given = beginning(execution, plan, record, new.inputs, now, stores=stores) or Given()
    with store.letting_in(_size(new, encoded, given.inputs)):
        made = _made(new, encoded, now, None)
        store.write({execution: [made, *first_run(execution, plan, record, token, now, given)]})
    store.keep_plan(execution, encoded, plan)
    return StartedView(
        execution_id=execution,
        name=plan.name,
        status="running",
        run=1,
        created_at=moment(now),
        correlation_id=new.correlation_id,
    )


def _made(new: New, encoded: bytes, now: int, given: StoredInputs | None) -> Create:
    total = len(new.plan.main)
    return Create(new.plan.name, encoded, total, new.correlation_id, now, given, new.labels, new.document)


def _size(new: New, encoded: bytes, given: StoredInputs | None) -> int:
    return len(encoded) + len(new.document or b"") + (0 if given is None else given.size)


def id_of_new(store: CommandStore, now: int) -> str:
    """The id of an execution that is made now."""
    return store.owner or new_id(now, secrets.token_hex(8), store.partition)


def beginning(
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    values: Mapping[str, JsonValue],
    now: int,
    *,
    stores: bool,
) -> Given | None:
    """What a first run begins with that is given these inputs; None where there is nothing to say.

    `stores`: some of the inputs are not stored yet. Raises InputsInvalidError, VarsInvalidError.
    """
    says_something = plan.inputs is not None or plan.vars or stores
    if not says_something and not any(policy.given for policy in plan.policies.values()):
        return None
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.beginning import begin
    from flowengine.workflow.inputs.values import Occasion

    begun = replace(record, started_at=now)
    found = begin(plan, values, Occasion(execution_fields(execution, begun, 1), now))
    return Given(stored_inputs(plan, found.inputs, found.vars) if says_something else None, found.conditions)


def _given(plan: Plan, inputs: Mapping[str, JsonValue]) -> StoredInputs:
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.values import check_given

    return stored_inputs(plan, check_given(plan.inputs, inputs))


def stored_inputs(
    plan: Plan, values: Mapping[str, JsonValue], made: Mapping[str, JsonValue] | None = None
) -> StoredInputs:
    """Inputs and vars as they are stored: of the vars those that are `made`, and those that come later."""
    late = {name: decode(bytes(one.value)) for name, one in plan.vars.items() if one.secret}
    return StoredInputs(
        encode(values),
        secret_names(plan.inputs),
        vars=encode(made) if made else b"",
        late=encode(late) if made is not None and late else b"",
    )


def new_id(now: int, random: str, partition: str) -> str:
    """An execution's id: its time of creation, a random part, and its partition where it has one."""
    return f"{now:011x}{random}{partition}"
