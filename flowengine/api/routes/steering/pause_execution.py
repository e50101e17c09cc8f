"""`POST /workflows/{execution_id}/pause` and `/resume`: nothing new begins, until it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.execution.views.executions import SteeredView

UNKNOWN_OUTCOME: Final = (
    "It may have been applied, or may still be. GET {path} tells. Sending it again does no harm."
)
REFUSALS: Final = (
    "not_supported",
    "execution_not_found",
    "request_timeout",
    "wrong_state",
    "unknown_parameter",
)


def _operation(summary: str, description: str, answer: SteeredView) -> Operation:
    return Operation(
        summary=summary,
        description=description,
        parameters=(EXECUTION_ID_PARAMETER,),
        responses={
            202: ViewResponse(
                "Done", SteeredView, {answer.status: answer}, links=(TO_STATUS,), has_location=True
            )
        },
        refusals=REFUSALS,
    )


PAUSE_EXECUTION: Final = _operation(
    "Pause an execution",
    "Nothing new is dispatched from now on. Nodes that run or have been sent go on, and what they report "
    "counts; pauses before another try end when it goes on. One with nothing left to dispatch ends. The "
    "timeout of the run goes on, and ends the pause. One that is paused already stays so.",
    SteeredView(execution_id=example.ID, status="paused", run=1),
)
RESUME_EXECUTION: Final = _operation(
    "Let a paused execution go on",
    "What became ready meanwhile is dispatched. One that runs already is left as it is.",
    SteeredView(execution_id=example.ID, status="running", run=1),
)


def pause_route(backend: Backend) -> HTTPRouteHandler:
    """The route of a pause, over this backend."""

    @post("/workflows/{execution_id:str}/pause", opt={OPERATION: PAUSE_EXECUTION, NEEDS_ROLE: "operate"})
    async def pause_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        return await _answer(backend, request, execution_id, backend.executions.pause)

    return pause_execution


def resume_route(backend: Backend) -> HTTPRouteHandler:
    """The route of a resume, over this backend."""

    @post("/workflows/{execution_id:str}/resume", opt={OPERATION: RESUME_EXECUTION, NEEDS_ROLE: "operate"})
    async def resume_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        return await _answer(backend, request, execution_id, backend.executions.resume)

    return resume_execution


async def _answer(
    backend: Backend,
    request: Request[Any, Any, Any],
    execution_id: str,
    steer: Callable[[str], SteeredView],
) -> Response[bytes]:
    path = f"/workflows/{execution_id}"
    with outcome_unknown(UNKNOWN_OUTCOME.format(path=path)):
        data = await call_about(request, execution_id, backend.calls.store, lambda: steer(execution_id))
    return json_response(data, 202, {"Location": path})
