"""`GET /schedules`, and what the times of one have brought about."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.access.scope import covers
from flowengine.api.access.key_guard import NARROWS, NEEDS_ROLE, caller_of, not_for
from flowengine.api.edge.paging import CURSOR, LIMIT, cursor_of, limit_of
from flowengine.api.edge.query_parameters import query_text
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.definition_name import NAME_PARAMETER
from flowengine.api.routes.schedules.schedule_name import EXAMPLE, REFUSED, SCHEDULE_PARAMETER, STARTED
from flowengine.execution.schedules.views import HistoryView, ScheduleListView
from flowengine.workflow.document import MAX_NAME_CHARS
from flowengine.workflow.problems import quoted

_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,1000}")
NAME: Final = Parameter(
    component="NameOfDefinition",
    name="name",
    location="query",
    description="Of this definition only.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS},
)
LIST_SCHEDULES: Final = Operation(
    summary="List the schedules",
    description="By the name of their definition and their id: when each starts executions next, what its "
    "newest times have brought about, and which of its executions have not ended. A page of a key for some "
    "definitions only may be short, and have a `next_cursor`.",
    parameters=(NAME, LIMIT, CURSOR),
    responses={
        200: ViewResponse(
            "A page", ScheduleListView, {"page": ScheduleListView(items=(EXAMPLE,), next_cursor=None)}
        )
    },
    refusals=("unknown_parameter", "invalid_parameter"),
    tag="definitions",
)
SHOW_HISTORY: Final = Operation(
    summary="What the times of a schedule have brought about",
    description="The newest first: executions that were started, and why there was none. The newest 500 are "
    "kept, until the schedule is taken out of its document.",
    parameters=(NAME_PARAMETER, SCHEDULE_PARAMETER, LIMIT, CURSOR),
    responses={
        200: ViewResponse(
            "A page", HistoryView, {"page": HistoryView(items=(REFUSED, STARTED), next_cursor=None)}
        )
    },
    refusals=("schedule_not_found", "unknown_parameter", "invalid_parameter"),
    tag="definitions",
)


def list_route(backend: Backend) -> HTTPRouteHandler:
    """The list, over this backend."""

    @get("/schedules", opt={OPERATION: LIST_SCHEDULES, NEEDS_ROLE: "read", NARROWS: True})
    async def list_schedules(request: Request[Any, Any, Any]) -> Response[bytes]:
        limit, cursor, name = limit_of(request), _cursor(request), query_text(request, NAME.name)
        caller = caller_of(request)
        seen = caller.definitions
        if name is not None and not covers(seen, name):
            raise not_for(caller, f"the definition {quoted(name)}")
        data = await backend.calls.store(
            lambda: msgspec.json.encode(
                backend.executions.schedules.list(limit=limit, cursor=cursor, name=name, patterns=seen)
            )
        )
        return json_response(data)

    return list_schedules


def history_route(backend: Backend) -> HTTPRouteHandler:
    """The history of one, over this backend."""

    @get("/schedules/{name:str}/{schedule:str}/history", opt={OPERATION: SHOW_HISTORY, NEEDS_ROLE: "read"})
    async def show_schedule_history(
        request: Request[Any, Any, Any], name: FromPath[str], schedule: FromPath[str]
    ) -> Response[bytes]:
        limit, cursor = limit_of(request), _cursor(request)
        data = await backend.calls.store(
            lambda: msgspec.json.encode(
                backend.executions.schedules.history(name, schedule, limit=limit, cursor=cursor)
            )
        )
        return json_response(data)

    return show_schedule_history


def _cursor(request: Request[Any, Any, Any]) -> str:
    return cursor_of(request, _CURSOR) or ""
