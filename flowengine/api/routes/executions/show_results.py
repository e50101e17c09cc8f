"""`GET /workflows/{execution_id}/results`: the outputs and errors of the nodes that have ended."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.execution.views.executions import ResultsView

COMPLETED: Final = ResultsView(
    execution_id=example.ID,
    status="completed",
    results={
        "fetch_data": msgspec.Raw(
            b'{"status_code":200,"headers":{"content-type":"application/json"},'
            b'"data":{"id":123,"name":"Ada"}}'
        ),
        "analyze_with_llm": msgspec.Raw(
            b'{"content":"Ada has been a customer since 1843.","model":"gpt-4-0613",'
            b'"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42},"finish_reason":"stop",'
            b'"calls":[{"model":"gpt-4-0613","code":null,"usage":{"prompt_tokens":30,"completion_tokens":12,'
            b'"total_tokens":42},"seconds":0.842}]}'
        ),
    },
    errors={},
    outputs={},
)
FAILED: Final = ResultsView(
    execution_id=example.ID,
    status="failed",
    results={},
    errors={"fetch_data": example.CALL_FAILED, "analyze_with_llm": example.UPSTREAM_FAILED},
)
SHOW_RESULTS: Final = Operation(
    summary="Outputs of the completed nodes, errors of the failed",
    description="May be read while the execution runs: it holds what has ended so far.",
    parameters=(EXECUTION_ID_PARAMETER,),
    responses={
        200: ViewResponse(
            "By node id", ResultsView, {"completed": COMPLETED, "failed": FAILED}, links=(TO_STATUS,)
        )
    },
    refusals=("execution_not_found",),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows/{execution_id:str}/results", opt={OPERATION: SHOW_RESULTS, NEEDS_ROLE: "read"})
    async def show_results(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        data = await call_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.results(execution_id),
        )
        return json_response(data)

    return show_results
