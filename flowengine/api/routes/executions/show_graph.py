"""`GET /workflows/{execution_id}/graph`: where its nodes and edges stand in a picture."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.entity_tags import tagged_response
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, read_about
from flowengine.layout.drawing import Card, Drawing, Edge

DRAWN: Final = Drawing(
    direction="down",
    width=168,
    height=97,
    cards=(
        Card(
            id="fetch_data",
            handler="call_external_service",
            stage="main",
            x=0,
            y=0,
            width=168,
            height=40,
        ),
        Card(
            id="analyze_with_llm",
            handler="llm_service",
            stage="main",
            x=0,
            y=57,
            width=168,
            height=40,
        ),
    ),
    edges=(Edge(source="fetch_data", target="analyze_with_llm", points=((84, 40), (84, 57))),),
)
SHOW_GRAPH: Final = Operation(
    summary="The picture of an execution's workflow",
    description="Where each node stands, how each edge runs, in pixels at scale 1, and which way it leads. "
    "From eight on, equal siblings are one card, whose `members` they are. Hooks stand in `lanes` below the "
    "main nodes. It says nothing of what has become of the nodes, and stays the same: `ETag` names it, and a "
    "request that has that in `If-None-Match` is answered 304, without a body.",
    parameters=(EXECUTION_ID_PARAMETER,),
    responses={200: ViewResponse("The picture", Drawing, {"drawn": DRAWN}, links=(TO_STATUS,))},
    refusals=("execution_not_found",),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows/{execution_id:str}/graph", opt={OPERATION: SHOW_GRAPH, NEEDS_ROLE: "read"})
    async def show_graph(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        found = await read_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.graph(execution_id),
        )
        return tagged_response(request, json_response(found.data), found.tag)

    return show_graph
