"""Accept a workflow: store it as a pending execution."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from flowengine.engine.ports import CommandStore
from flowengine.execution.changes import Create, StoredInputs
from flowengine.execution.views import CreatedView, moment
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.workflow.inputs.declared import secret_names
from flowengine.workflow.plan import Plan, encode_plan


def create(
    store: CommandStore, plan: Plan, *, correlation_id: str, inputs: Mapping[str, JsonValue] | None = None
) -> CreatedView:
    """Store a new pending execution, which expires by itself if it is never triggered.

    `inputs`: those that are known already. Raises InputsInvalidError, TooManyExecutionsError, StoreFullError,
    StoreUnavailableError.
    """
    given = _given(plan, inputs) if inputs else None
    encoded = encode_plan(plan)
    with store.letting_in(len(encoded) + (0 if given is None else len(given.values))):
        now = store.now()
        execution = store.owner or new_id(now, secrets.token_hex(8), store.partition)
        made = Create(plan.name, encoded, len(plan.main), correlation_id, now, given)
        store.write({execution: [made]})
    store.keep_plan(execution, encoded, plan)
    return CreatedView(
        execution_id=execution,
        name=plan.name,
        status="pending",
        created_at=moment(now),
        correlation_id=correlation_id,
    )


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
