"""A schedule in a path: the name of its definition and its id, as they are documented; an example of one."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.api.openapi.operation import Link, Parameter
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.schedules.views import OutcomeView, ScheduledView, ScheduleView
from flowengine.workflow.document import NODE_ID
from flowengine.workflow.schedules.declared import MAX_ID_CHARS

ID: Final = "default"
SCHEDULE_PARAMETER: Final = Parameter(
    component="ScheduleId",
    name="schedule",
    location="path",
    description="The id of the schedule among those of its definition; `default` where it names none.",
    schema={"type": "string", "maxLength": MAX_ID_CHARS, "pattern": f"^{NODE_ID.pattern}$"},
    example=ID,
)
TO_HISTORY: Final = Link(
    "show_schedule_history",
    "What its times have brought about",
    {"name": "$response.body#/name", "schedule": "$response.body#/id"},
)
STARTED: Final = OutcomeView(
    at=example.moment(0.112),
    scheduled_at=example.moment(0),
    outcome="started",
    execution_id=example.ID,
    until=None,
    code=None,
    message=None,
    by=None,
)
REFUSED: Final = msgspec.structs.replace(
    STARTED,
    outcome="refused",
    execution_id=None,
    code="inputs_invalid",
    message="1 problem: see `problems`. The first: the input 'day' is required",
)
EXAMPLE: Final = ScheduleView(
    name=example.NAME,
    id=ID,
    version=2,
    cron="0 2 * * *",
    every_seconds=None,
    timezone="Europe/Berlin",
    catch_up="latest",
    overlap="skip",
    inputs=msgspec.Raw(b"""{"day":"{{ execution.scheduled_at | date_format('%Y-%m-%d') }}"}"""),
    status="active",
    paused=None,
    next_times=tuple([example.moment(day * 86_400) for day in range(1, 6)]),
    waiting=None,
    running=(ScheduledView(execution_id=example.ID, status="paused", scheduled_at=example.moment(0)),),
    held_by=(example.ID,),
    last=(STARTED,),
)
