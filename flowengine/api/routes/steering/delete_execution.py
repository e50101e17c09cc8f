"""`DELETE /workflows/{execution_id}`: an execution, and all that is stored of it, goes."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, delete
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.query_parameters import query_flag
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, read_about
from flowengine.execution.views.executions import DeletedView

UNKNOWN_OUTCOME: Final = (
    "The delete may have been applied, or may still be. GET {path} tells. Sending it again does no harm."
)
FORCE_PARAMETER: Final = Parameter(
    component="ForceDelete",
    name="force",
    location="query",
    description="Whether one that has not ended is cancelled, and deleted once it has ended.",
    schema={"type": "boolean"},
)
DELETE_EXECUTION: Final = Operation(
    summary="Delete an execution",
    description="Removes an execution that has ended, or was never triggered, with its results, events and "
    "lines. It is not found from then on. Statistics still count how it ended. With `force`, one that has "
    "not ended is cancelled, cannot be triggered again, and is deleted once it has ended: 202, and it is "
    "found until then.",
    parameters=(EXECUTION_ID_PARAMETER, FORCE_PARAMETER),
    responses={
        200: ViewResponse(
            "Deleted", DeletedView, {"deleted": DeletedView(execution_id=example.ID, deleted=True)}
        ),
        202: ViewResponse(
            "Being cancelled, and deleted once it has ended",
            DeletedView,
            {"ends_first": DeletedView(execution_id=example.ID, deleted=False)},
            links=(TO_STATUS,),
            has_location=True,
        ),
    },
    refusals=(
        "not_supported",
        "execution_not_found",
        "wrong_state",
        "unknown_parameter",
        "invalid_parameter",
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions

    @delete(
        "/workflows/{execution_id:str}",
        opt={OPERATION: DELETE_EXECUTION, NEEDS_ROLE: "operate"},
        status_code=200,
    )
    async def delete_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        force = query_flag(request, FORCE_PARAMETER.name)
        path = f"/workflows/{execution_id}"
        with outcome_unknown(UNKNOWN_OUTCOME.format(path=path)):
            view = await read_about(
                request,
                execution_id,
                backend.calls.store,
                lambda: executions.delete(execution_id, force=force),
            )
        data = msgspec.json.encode(view)
        return json_response(data) if view.deleted else json_response(data, 202, {"Location": path})

    return delete_execution
