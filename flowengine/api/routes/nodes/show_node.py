"""`GET /workflows/{execution_id}/nodes/{node_id}`: everything of one node."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec.structs import asdict

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, call_about
from flowengine.api.routes.executions.show_execution import COMPLETED as EXECUTION
from flowengine.api.routes.executions.show_execution import FAILED as FAILED_EXECUTION
from flowengine.api.routes.executions.show_results import COMPLETED as RESULTS
from flowengine.api.routes.history.list_lines import NODE_PARAMETER
from flowengine.execution.views.executions import NULL, AttemptView, NodeDetailView, NodeView

_CONFIG: Final = msgspec.Raw(b'{"url":"https://api.example.com/users/123"}')


def _attempt(node: NodeView) -> AttemptView:
    return AttemptView(
        attempt=node.attempt,
        queued_at=node.queued_at,
        started_at=node.started_at,
        finished_at=node.finished_at,
        delivery=1,
        error=node.error,
    )


_FETCHED: Final = EXECUTION.nodes[0]
_BROKEN: Final = FAILED_EXECUTION.nodes[0]
COMPLETED: Final = NodeDetailView(
    **asdict(_FETCHED), result=RESULTS.results["fetch_data"], attempts=(_attempt(_FETCHED),), config=_CONFIG
)
FAILED: Final = NodeDetailView(**asdict(_BROKEN), result=NULL, attempts=(_attempt(_BROKEN),), config=_CONFIG)
PENDING: Final = NodeDetailView(
    id="analyze_with_llm",
    kind="task",
    handler="llm_service",
    status="pending",
    attempt=0,
    dependencies=("fetch_data",),
    queued_at=None,
    started_at=None,
    finished_at=None,
    error=None,
    result=NULL,
    attempts=(),
    config=NULL,
    config_error="it reads 'fetch_data', which has not ended: it is pending",
)
SHOW_NODE: Final = Operation(
    summary="Everything of one node",
    description=(
        "Its attempts, its result, and its config as its templates give it now. The config is rendered for "
        "this answer: what depends on the time or on a secret may differ from what an attempt had. Secrets "
        "are `***`. If the config cannot be rendered, `config_error` says why; over 64 KiB it is cut."
    ),
    parameters=(EXECUTION_ID_PARAMETER, NODE_PARAMETER),
    responses={
        200: ViewResponse(
            "The node", NodeDetailView, {"completed": COMPLETED, "failed": FAILED, "pending": PENDING}
        )
    },
    refusals=("execution_not_found", "node_not_found"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get(
        "/workflows/{execution_id:str}/nodes/{node_id:str}",
        opt={OPERATION: SHOW_NODE, NEEDS_ROLE: "read"},
    )
    async def show_node(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        data = await call_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.node(execution_id, node_id),
        )
        return json_response(data)

    return show_node
