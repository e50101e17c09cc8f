"""`GET /workflows/{execution_id}/runs`: the runs of an execution, the newest first."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, cursor_of, limit_of
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.execution.history.runs import RunPage, RunView, WhyView
from flowengine.execution.views.executions import counts_of

_LAST: Final = RunView(
    run=2,
    status="completed",
    started_at=example.moment(61),
    finished_at=example.moment(64.5),
    counts=counts_of(["completed", "completed"]),
    error=None,
    why=WhyView(kind="rerun", mode="from", by=None),
)
_FIRST: Final = RunView(
    run=1,
    status="completed",
    started_at=example.moment(1),
    finished_at=example.moment(7.2),
    counts=counts_of(["completed", "completed"]),
    error=None,
    why=WhyView(kind="trigger", mode=None, by=None),
)
PAGE: Final = RunPage(items=(_LAST, _FIRST), next_cursor=None)
LIST_RUNS: Final = Operation(
    summary="The runs of an execution",
    description="The newest first: how each has ended, and why it began. The newest 50 are kept.",
    parameters=(EXECUTION_ID_PARAMETER, LIMIT, CURSOR),
    responses={200: ViewResponse("Runs", RunPage, {"runs": PAGE}, links=(TO_STATUS,))},
    refusals=("execution_not_found", "unknown_parameter", "invalid_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions

    @get("/workflows/{execution_id:str}/runs", opt={OPERATION: LIST_RUNS, NEEDS_ROLE: "read"})
    async def list_runs(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        limit, cursor = limit_of(request), cursor_of(request)
        data = await call_about(
            request,
            execution_id,
            backend.calls.store,
            lambda: executions.runs(execution_id, limit=limit, cursor=cursor),
        )
        return json_response(data)

    return list_runs
