"""`GET /workflows/{execution_id}`: the status of an execution and of every node."""

from __future__ import annotations

from typing import Any, Final, cast

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec.structs import replace

from flowengine.api.access.key_guard import NEEDS_ROLE, caller_of
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import query_flag, query_texts
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.openapi.schemas import reference
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import (
    EXECUTION_ID_PARAMETER,
    TO_RESULTS,
    TO_TRIGGER,
    call_about,
)
from flowengine.execution.records import ExecutionError
from flowengine.execution.status import NODE_STATUSES, NodeStatus
from flowengine.execution.views.executions import ExecutionView, NodeView, TriggerView, counts_of
from flowengine.nearest_name import nearest_name
from flowengine.workflow.problems import did_you_mean, quoted

_FETCHED: Final = NodeView(
    id="fetch_data",
    kind="task",
    handler="call_external_service",
    status="completed",
    attempt=1,
    dependencies=(),
    queued_at=example.moment(1.002),
    started_at=example.moment(1.004),
    finished_at=example.moment(1.25),
    error=None,
)
_ANALYSING: Final = NodeView(
    id="analyze_with_llm",
    kind="task",
    handler="llm_service",
    status="running",
    attempt=1,
    dependencies=("fetch_data",),
    queued_at=example.moment(1.252),
    started_at=example.moment(1.254),
    finished_at=None,
    error=None,
)
RUNNING: Final = ExecutionView(
    execution_id=example.ID,
    name=example.NAME,
    status="running",
    run=1,
    created_at=example.moment(0),
    started_at=example.moment(1),
    finished_at=None,
    correlation_id=example.CORRELATION_ID,
    labels=example.LABELS,
    counts=counts_of(["completed", "running"]),
    nodes=(_FETCHED, _ANALYSING),
    trigger=TriggerView(kind="api"),
)
COMPLETED: Final = replace(
    RUNNING,
    status="completed",
    finished_at=example.moment(3.5),
    counts=counts_of(["completed", "completed"]),
    nodes=(_FETCHED, replace(_ANALYSING, status="completed", finished_at=example.moment(3.49))),
)
FAILED: Final = replace(
    RUNNING,
    status="failed",
    finished_at=example.moment(4.7),
    counts=counts_of(["failed", "failed"]),
    nodes=(
        replace(_FETCHED, status="failed", finished_at=example.moment(4.66), error=example.CALL_FAILED),
        replace(
            _ANALYSING,
            status="failed",
            attempt=0,
            queued_at=None,
            started_at=None,
            finished_at=example.moment(4.69),
            error=example.UPSTREAM_FAILED,
        ),
    ),
    error=ExecutionError(example.CALL_FAILED.code, example.CALL_FAILED.message, _FETCHED.id),
)
NODES_PARAMETER: Final = Parameter(
    component="WithNodes",
    name="nodes",
    location="query",
    description="`false`: without its nodes; `nodes` and `hooks` are empty then.",
    schema={"type": "boolean"},
)
NODE_STATUS_PARAMETER: Final = Parameter(
    component="NodesInStatus",
    name="node_status",
    location="query",
    description="Only nodes in one of these statuses. May be repeated.",
    schema={"type": "array", "items": reference("NodeStatus")},
)
SHOW_EXECUTION: Final = Operation(
    summary="Status of an execution and of every node",
    description="Nodes come in the document's order. `counts` are of all of them, whichever are wanted.",
    parameters=(EXECUTION_ID_PARAMETER, NODES_PARAMETER, NODE_STATUS_PARAMETER),
    responses={
        200: ViewResponse(
            "The state",
            ExecutionView,
            {"running": RUNNING, "completed": COMPLETED, "failed": FAILED},
            links=(TO_RESULTS, TO_TRIGGER),
        )
    },
    refusals=("execution_not_found", "unknown_parameter", "invalid_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows/{execution_id:str}", opt={OPERATION: SHOW_EXECUTION, NEEDS_ROLE: "read"})
    async def show_execution(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        seen, only = caller_of(request).definitions, _wanted(request)
        data = await call_about(
            request,
            execution_id,
            backend.calls.store,
            lambda: backend.executions.status(execution_id, seen, only),
        )
        return json_response(data)

    return show_execution


def _wanted(request: Request[Any, Any, Any]) -> frozenset[NodeStatus] | None:
    """The statuses of the nodes that are wanted, None: all. Raises RefusalError."""
    given = query_texts(request, NODE_STATUS_PARAMETER.name)
    with_nodes = query_flag(request, NODES_PARAMETER.name, default=True)
    if given and not with_nodes:
        raise RefusalError("invalid_parameter", "It has both 'node_status' and 'nodes=false': leave out one.")
    if not with_nodes:
        return frozenset()
    return frozenset(map(_status, given)) if given else None


def _status(given: str) -> NodeStatus:
    if given not in NODE_STATUSES:
        hint = did_you_mean(nearest_name(given, NODE_STATUSES)) or "."
        raise RefusalError(
            "invalid_parameter",
            f"There is no status {quoted(given)} of a node{hint} Known are: {', '.join(NODE_STATUSES)}; for "
            "several, repeat 'node_status'.",
        )
    return cast(NodeStatus, given)
