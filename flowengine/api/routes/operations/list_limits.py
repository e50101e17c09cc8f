"""`GET /limits`: who runs of each limit, and who waits for a turn."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, limit_of
from flowengine.api.edge.query_parameters import query_text
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.limits.views import LimitsView, LimitView, StanderView

LIMITS: Final = LimitsView(
    items=(
        LimitView(
            kind="workflow",
            key="customer-7",
            workflow="nightly-report",
            limit=1,
            holding=1,
            waiting=1,
            holders=(StanderView(execution_id=example.ID, run=1),),
            waiters=(StanderView(execution_id="19b7ca98f2ef2c4d1b3a9e87f61", run=1),),
        ),
    ),
    next_cursor=None,
)
LIST_LIMITS: Final = Operation(
    summary="Who runs of each limit, and who waits",
    description="Every limit that somebody runs under or waits for, by name. `holders` and `waiters` are at "
    "most 100 each, those first in the line; `holding` and `waiting` count all.",
    parameters=(LIMIT, CURSOR),
    responses={200: ViewResponse("A page of limits", LimitsView, {"limits": LIMITS})},
    refusals=("unknown_parameter", "invalid_parameter"),
    tag="service",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    operations = backend.executions.operations

    @get("/limits", opt={OPERATION: LIST_LIMITS, NEEDS_ROLE: "read"})
    async def list_limits(request: Request[Any, Any, Any]) -> Response[bytes]:
        limit, cursor = limit_of(request), query_text(request, "cursor")
        view = await backend.calls.store(lambda: operations.limits(limit, cursor))
        return json_response(msgspec.json.encode(view))

    return list_limits
