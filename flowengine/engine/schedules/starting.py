"""An execution that a schedule starts: of the version in force, with the inputs that the schedule gives."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from flowengine.engine.commands.create import New, Starting, record_before
from flowengine.engine.definitions.ports import DefinitionSource
from flowengine.errors import DefinitionNotFoundError
from flowengine.execution.execution_fields import execution_fields
from flowengine.execution.schedules.records import ScheduleRecord
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.schedules.declared import NO_INPUTS


class Occasion(msgspec.Struct, frozen=True):
    """What starts: a schedule of the definition `name`, for the time `planned`; and with which id, when."""

    name: str
    record: ScheduleRecord
    planned: int
    execution: str
    now: int
    correlation_id: str


def starting(definitions: DefinitionSource, occasion: Occasion) -> Starting:
    """The execution of one time of a schedule. Stores nothing.

    Raises DefinitionNotFoundError, InputsInvalidError, StoredFormatError, StoreUnavailableError.
    """
    record = occasion.record
    found = definitions.definition(occasion.name, record.version)
    if found is None:
        raise DefinitionNotFoundError.of(occasion.name, record.version)
    new = New(
        plan=found.plan,
        correlation_id=occasion.correlation_id,
        labels=found.record.labels,
        document=found.document,
        version=found.version,
        schedule=record.schedule.id,
        scheduled_at=occasion.planned,
    )
    return Starting(replace(new, inputs=_inputs(new, occasion)))


def _inputs(new: New, occasion: Occasion) -> Mapping[str, JsonValue]:
    given = occasion.record.schedule.inputs
    if bytes(given) == bytes(NO_INPUTS):
        return {}
    # Imported where a schedule gives some: an orchestrator loads no templates when it starts. These are the
    # only ones that it renders, within a budget: who starts an execution makes what it begins with.
    from flowengine.workflow.inputs import values
    from flowengine.workflow.schedules.rendering import rendered_inputs

    begun = replace(record_before(new, occasion.now), started_at=occasion.now)
    fields = execution_fields(occasion.execution, begun, 1)
    written: dict[str, JsonValue] = msgspec.json.decode(given)
    return rendered_inputs(written, values.Occasion(fields, occasion.now))
