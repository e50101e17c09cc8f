"""An execution that a schedule starts: of the version in force, with the inputs that the schedule gives."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from flowengine.engine.commands.create import New, Starting
from flowengine.engine.definitions.ports import DefinitionSource
from flowengine.engine.starting.given_inputs import given_inputs
from flowengine.errors import DefinitionNotFoundError
from flowengine.execution.schedules.records import ScheduleRecord


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
    inputs = given_inputs(new, record.schedule.inputs, occasion.execution, occasion.now)
    return Starting(replace(new, inputs=inputs))
