"""`POST /schedules/{name}/{schedule}/pause`, `/resume` and `/trigger`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.correlation_id import correlation_of
from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.definition_name import NAME_PARAMETER
from flowengine.api.routes.definitions.start_definition import MAY_HAVE_STARTED
from flowengine.api.routes.definitions.start_definition import STARTED as STARTED_OF_DEFINITION
from flowengine.api.routes.executions.execution_id import TO_RESULTS, TO_STATUS
from flowengine.api.routes.schedules.schedule_name import EXAMPLE, SCHEDULE_PARAMETER, TO_HISTORY
from flowengine.execution.schedules.views import PausedView, ScheduleView
from flowengine.execution.views.executions import StartedView

UNKNOWN_OUTCOME: Final = (
    "It may have been applied, or may still be. GET /schedules tells. Sending it again does no harm."
)
PAUSED: Final = msgspec.structs.replace(
    EXAMPLE,
    status="paused",
    paused=PausedView(by="operator", at=EXAMPLE.last[0].at, key="ops"),
    next_times=(),
)
_REFUSALS: Final = ("schedule_not_found", "request_timeout", "unknown_parameter")


def _operation(summary: str, description: str, answer: ScheduleView) -> Operation:
    return Operation(
        summary=summary,
        description=description,
        parameters=(NAME_PARAMETER, SCHEDULE_PARAMETER),
        responses={200: ViewResponse("Done", ScheduleView, {answer.status: answer}, links=(TO_HISTORY,))},
        refusals=_REFUSALS,
        tag="definitions",
    )


PAUSE_SCHEDULE: Final = _operation(
    "Pause a schedule",
    "Its times start nothing from now on, until it is resumed. It stays paused when its document is applied "
    "again. What it has started goes on; a time that waits for that to end does not start any more. One that "
    "is paused already stays so.",
    PAUSED,
)
RESUME_SCHEDULE: Final = _operation(
    "Resume a schedule",
    "It goes on with its next time. What came while it was paused is not caught up. One that is not paused "
    "is left as it is.",
    EXAMPLE,
)
TRIGGER_SCHEDULE: Final = Operation(
    summary="Start an execution of a schedule now",
    description="With the inputs that the schedule gives, whatever is paused or runs. Its `scheduled_at` is "
    "the time of this request.",
    parameters=(NAME_PARAMETER, SCHEDULE_PARAMETER),
    responses={
        202: ViewResponse(
            "Started",
            StartedView,
            {"started": STARTED_OF_DEFINITION},
            links=(TO_STATUS, TO_RESULTS),
            has_location=True,
        )
    },
    refusals=(
        *_REFUSALS,
        "definition_not_found",
        "inputs_invalid",
        "vars_invalid",
        "too_many_executions",
        "concurrency_limit",
    ),
    tag="definitions",
)


def pause_route(backend: Backend) -> HTTPRouteHandler:
    """The route of a pause, over this backend."""

    @post(
        "/schedules/{name:str}/{schedule:str}/pause",
        opt={OPERATION: PAUSE_SCHEDULE, NEEDS_ROLE: "admin"},
        status_code=200,
    )
    async def pause_schedule(name: FromPath[str], schedule: FromPath[str]) -> Response[bytes]:
        return await _steered(backend, lambda: backend.executions.schedules.pause(name, schedule))

    return pause_schedule


def resume_route(backend: Backend) -> HTTPRouteHandler:
    """The route of a resume, over this backend."""

    @post(
        "/schedules/{name:str}/{schedule:str}/resume",
        opt={OPERATION: RESUME_SCHEDULE, NEEDS_ROLE: "admin"},
        status_code=200,
    )
    async def resume_schedule(name: FromPath[str], schedule: FromPath[str]) -> Response[bytes]:
        return await _steered(backend, lambda: backend.executions.schedules.resume(name, schedule))

    return resume_schedule


def trigger_route(backend: Backend) -> HTTPRouteHandler:
    """The route of a start by hand, over this backend."""

    @post(
        "/schedules/{name:str}/{schedule:str}/trigger",
        opt={OPERATION: TRIGGER_SCHEDULE, NEEDS_ROLE: "run"},
        status_code=202,
    )
    async def trigger_schedule(
        request: Request[Any, Any, Any], name: FromPath[str], schedule: FromPath[str]
    ) -> Response[bytes]:
        correlation_id = correlation_of(request.scope)
        with outcome_unknown(MAY_HAVE_STARTED):
            view = await backend.calls.store(
                lambda: backend.executions.schedules.trigger(name, schedule, correlation_id)
            )
        request.scope["state"][EXECUTION_ID] = view.execution_id
        location = {"Location": f"/workflows/{view.execution_id}"}
        return json_response(msgspec.json.encode(view), 202, location)

    return trigger_schedule


async def _steered(backend: Backend, steer: Callable[[], ScheduleView]) -> Response[bytes]:
    with outcome_unknown(UNKNOWN_OUTCOME):
        view = await backend.calls.store(steer)
    return json_response(msgspec.json.encode(view))
