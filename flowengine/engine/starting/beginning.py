"""What a first run of an execution begins with: its inputs checked, its vars and conditions rendered.

The API and workers call it for the executions that they start. An orchestrator, which renders no template,
gets what it needs of this as data.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from flowengine.execution.changes import StoredInputs
from flowengine.execution.execution_fields import execution_fields, trigger_fields
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.starting import Given
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.workflow.inputs.declared import secret_names
from flowengine.workflow.plan import Plan


def beginning(
    execution: str,
    plan: Plan,
    record: ExecutionRecord,
    values: Mapping[str, JsonValue],
    now: int,
    outputs: bytes | None = None,
    parent: str | None = None,
    *,
    stores: bool,
) -> Given | None:
    """What a first run begins with that is given these inputs; None where there is nothing to say.

    `stores`: some of the inputs are not stored yet. `outputs`: what the end has given that starts it;
    `parent`: the execution that it is a child of. Raises InputsInvalidError, VarsInvalidError.
    """
    says_something = plan.inputs is not None or plan.vars or stores
    limit = plan.overall.concurrency
    makes_key = bool(plan.keyed) or (limit is not None and limit.makes_key)
    if not says_something and not makes_key and not any(policy.given for policy in plan.policies.values()):
        return None
    # Imported where there are inputs: an orchestrator never renders a template.
    from flowengine.workflow.inputs.beginning import begin
    from flowengine.workflow.inputs.values import Occasion

    begun = replace(record, started_at=now)
    trigger = trigger_fields(execution, begun, outputs, parent)
    found = begin(plan, values, Occasion(execution_fields(execution, begun, 1), now, trigger))
    stored = stored_inputs(plan, found.inputs, found.vars) if says_something else None
    return Given(stored, found.conditions, key=found.key, keys=found.keys)


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
