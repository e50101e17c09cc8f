"""The inputs that a document gives to an execution which starts by itself: by a schedule, or by an end."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from flowengine.engine.commands.create import New, record_before
from flowengine.execution.execution_fields import execution_fields, trigger_fields
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.schedules.declared import NO_INPUTS


def given_inputs(new: New, written: msgspec.Raw, execution: str, now: int) -> Mapping[str, JsonValue]:
    """Its inputs, rendered. Raises InputsInvalidError, with all that cannot be."""
    if bytes(written) == bytes(NO_INPUTS):
        return {}
    # Imported where the document gives some: an orchestrator loads no templates when it starts. These are the
    # only ones that it renders, within a budget: who starts an execution makes what it begins with.
    from flowengine.workflow.inputs.values import Occasion
    from flowengine.workflow.schedules.rendering import rendered_inputs

    begun = replace(record_before(new, now), started_at=now)
    trigger = trigger_fields(execution, begun, new.outputs)
    said: dict[str, JsonValue] = msgspec.json.decode(written)
    return rendered_inputs(said, Occasion(execution_fields(execution, begun, 1), now, trigger))
