"""`GET /workflows/{execution_id}/logs` and `.../nodes/{node_id}/logs`: what nodes have logged and printed."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, limit_of
from flowengine.api.edge.query_parameters import query_number
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.api.routes.history.place_parameter import place_of
from flowengine.execution.history.places import START
from flowengine.execution.history.views import LinePage, LineView

_LOGGED: Final = LineView(
    id="1767323046910-0.0",
    at=example.moment(1.1),
    node="fetch_data",
    attempt=1,
    source="log",
    level="info",
    message="page.loaded",
    fields={"number": 2},
)
_PRINTED: Final = LineView(
    id="1767323046910-0.1",
    at=example.moment(1.2),
    node="fetch_data",
    attempt=1,
    source="stdout",
    message="two pages",
)
PAGE: Final = LinePage(items=(_LOGGED, _PRINTED), next_cursor=None)

NODE_PARAMETER: Final = Parameter(
    component="NodeId",
    name="node_id",
    location="path",
    description="The `id` of a node in the workflow.",
    schema={"type": "string", "minLength": 1, "maxLength": 200},
    example="fetch_data",
)
ATTEMPT_PARAMETER: Final = Parameter(
    component="Attempt",
    name="attempt",
    location="query",
    description="Only the lines of this attempt.",
    schema={"type": "integer", "minimum": 1},
)
_MOST_ATTEMPTS: Final = 10**9 - 1
_ABOUT: Final = (
    "Lines of `context.logger`, `logging` and `print`, in the order in which they were written down: with "
    "the end of a node, and twice a second while it runs. The newest 1000 lines or 256 KiB of a node are "
    "kept, and 16 MiB of an execution: `cut` says that others were dropped. A page may be short, and still "
    "lead to a next one. Secrets are `***`."
)
LIST_LINES: Final = Operation(
    summary="What all nodes have logged and printed",
    description=_ABOUT,
    parameters=(EXECUTION_ID_PARAMETER, LIMIT, CURSOR),
    responses={200: ViewResponse("Lines", LinePage, {"lines": PAGE}, links=(TO_STATUS,))},
    refusals=("execution_not_found", "unknown_parameter", "invalid_parameter"),
)
LIST_NODE_LINES: Final = Operation(
    summary="What a node has logged and printed",
    description=_ABOUT,
    parameters=(
        EXECUTION_ID_PARAMETER,
        NODE_PARAMETER,
        LIMIT,
        CURSOR,
        ATTEMPT_PARAMETER,
    ),
    responses={200: ViewResponse("Lines", LinePage, {"lines": PAGE}, links=(TO_STATUS,))},
    refusals=("execution_not_found", "node_not_found", "unknown_parameter", "invalid_parameter"),
)


def route_of_execution(backend: Backend) -> HTTPRouteHandler:
    """The route for all nodes, over this backend."""

    @get("/workflows/{execution_id:str}/logs", opt={OPERATION: LIST_LINES, NEEDS_ROLE: "read"})
    async def list_lines(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        return await _answer(backend, request, execution_id, None)

    return list_lines


def route_of_node(backend: Backend) -> HTTPRouteHandler:
    """The route for one node, over this backend."""

    @get(
        "/workflows/{execution_id:str}/nodes/{node_id:str}/logs",
        opt={OPERATION: LIST_NODE_LINES, NEEDS_ROLE: "read"},
    )
    async def list_node_lines(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        return await _answer(backend, request, execution_id, node_id)

    return list_node_lines


async def _answer(
    backend: Backend, request: Request[Any, Any, Any], execution_id: str, node: str | None
) -> Response[bytes]:
    limit, after = limit_of(request), place_of(request, "cursor") or START
    attempt = query_number(request, "attempt", most=_MOST_ATTEMPTS)
    data = await call_about(
        request,
        execution_id,
        backend.calls.results,
        lambda: backend.executions.lines(execution_id, node=node, attempt=attempt, after=after, limit=limit),
    )
    return json_response(data)
