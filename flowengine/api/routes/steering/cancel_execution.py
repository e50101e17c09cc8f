"""`POST /workflows/{execution_id}/cancel`: stops an execution that has not ended."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, BodyExample, Operation, RequestBody, ViewResponse
from flowengine.api.openapi.schemas import CANCEL
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import (
    EXECUTION_ID_PARAMETER,
    TO_RESULTS,
    TO_STATUS,
    call_about,
)
from flowengine.api.routes.executions.workflow_body import read_posted
from flowengine.execution.views.executions import CancelledView
from flowengine.workflow.posting.posted import read_cancel

UNKNOWN_OUTCOME: Final = (
    "The cancel may have been applied, or may still be. GET {path} tells. Sending it again does no harm."
)
CANCELLED: Final = CancelledView(execution_id=example.ID, status="cancelling", run=1)
CANCEL_BODY: Final = RequestBody(
    description="Why it is cancelled.",
    schema=CANCEL,
    media_types=(*JSON_TYPES, YAML_TYPES[0]),
    examples={"reason": BodyExample("A reason", {"reason": "the wrong day"})},
    required=False,
)
CANCEL_EXECUTION: Final = Operation(
    summary="Cancel an execution",
    description="Stops an execution that has not ended. Nothing more begins; nodes that run are told, and "
    "have 30 seconds (FLOWENGINE_STOP_SECONDS) to end. It is `cancelling` until they have, then `cancelled`; "
    "one that was never triggered is `cancelled` at once. It can be triggered again then. A cancel of what "
    "is being stopped already changes nothing.",
    parameters=(EXECUTION_ID_PARAMETER,),
    body=CANCEL_BODY,
    responses={
        202: ViewResponse(
            "Being stopped",
            CancelledView,
            {"cancelling": CANCELLED},
            links=(TO_STATUS, TO_RESULTS),
            has_location=True,
        )
    },
    refusals=(
        "not_supported",
        "malformed_document",
        "execution_not_found",
        "request_timeout",
        "wrong_state",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "unknown_parameter",
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions

    @post("/workflows/{execution_id:str}/cancel", opt={OPERATION: CANCEL_EXECUTION, NEEDS_ROLE: "operate"})
    async def cancel_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        posted, _ = await read_posted(request, backend, "invalid_body", read_cancel)
        reason = None if posted is None else posted.reason
        path = f"/workflows/{execution_id}"
        with outcome_unknown(UNKNOWN_OUTCOME.format(path=path)):
            data = await call_about(
                request,
                execution_id,
                backend.calls.store,
                lambda: executions.cancel(execution_id, reason=reason),
            )
        return json_response(data, 202, {"Location": path})

    return cancel_execution
