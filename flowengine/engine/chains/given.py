"""What an execution is given that the end of another one starts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from flowengine.engine.commands.create import New, record_before
from flowengine.execution.execution_fields import execution_fields
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.chains.declared import After, EndStatus
from flowengine.workflow.schedules.declared import NO_INPUTS


def trigger_of(
    execution: str, workflow: str, status: EndStatus, outputs: Mapping[str, msgspec.Raw] | None
) -> dict[str, JsonValue]:
    """`trigger` in templates: the end of this execution, and what it has given, if anything."""
    given: JsonValue = None
    if outputs is not None:
        given = {name: msgspec.json.decode(value) for name, value in outputs.items()}
    return {
        "kind": "after",
        "execution_id": execution,
        "workflow": workflow,
        "status": status,
        "outputs": given,
    }


def inputs_of(
    new: New, after: After, trigger: Mapping[str, JsonValue], execution: str, now: int
) -> Mapping[str, JsonValue]:
    """Its inputs, rendered. Raises InputsInvalidError, with all that cannot be."""
    if bytes(after.inputs) == bytes(NO_INPUTS):
        return {}
    # Imported where an `after` gives some: an orchestrator loads no templates when it starts.
    from flowengine.template.reference import TRIGGER
    from flowengine.workflow.inputs import values
    from flowengine.workflow.schedules.rendering import rendered_inputs

    begun = replace(record_before(new, now), started_at=now)
    fields = execution_fields(execution, begun, 1)
    written: dict[str, JsonValue] = msgspec.json.decode(after.inputs)
    return rendered_inputs(written, values.Occasion(fields, now), {TRIGGER: dict(trigger)})
