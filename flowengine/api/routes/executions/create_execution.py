"""`POST /workflow`: checks a workflow document and stores a pending execution of it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import TO_STATUS, TO_TRIGGER
from flowengine.api.routes.executions.workflow_body import WORKFLOW_BODY, read_workflow
from flowengine.execution.views import CreatedView

UNKNOWN_OUTCOME: Final = (
    "The workflow may have been stored. It has not started, and expires if nobody triggers it: send it again."
)
CREATED: Final = CreatedView(
    execution_id=example.ID,
    name=example.NAME,
    status="pending",
    created_at=example.moment(0),
    correlation_id=example.CORRELATION_ID,
)
CREATE_EXECUTION: Final = Operation(
    summary="Accept a workflow",
    description="Validates the document, reports all its problems at once, and stores a pending execution. "
    "`warnings` are what may go wrong with a document that is accepted. Inputs may be posted with it; others "
    "may come with the trigger.",
    body=WORKFLOW_BODY,
    responses={
        201: ViewResponse(
            "Stored, not yet started",
            CreatedView,
            {"created": CREATED},
            links=(TO_TRIGGER, TO_STATUS),
            has_location=True,
        )
    },
    refusals=(
        "not_supported",
        "malformed_document",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_workflow",
        "inputs_invalid",
        "unknown_parameter",
        "too_many_executions",
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @post("/workflow", opt={OPERATION: CREATE_EXECUTION, NEEDS_ROLE: "author"})
    async def create_execution(request: Request[Any, Any, Any]) -> Response[bytes]:
        workflow = await read_workflow(request, backend)
        correlation_id = correlation_id_of(request.scope)
        with outcome_unknown(UNKNOWN_OUTCOME):
            view = await backend.calls.store(
                lambda: backend.executions.create(
                    workflow.plan, correlation_id=correlation_id, inputs=workflow.inputs
                )
            )
        view = msgspec.structs.replace(view, warnings=workflow.warnings or msgspec.UNSET)
        request.scope["state"][EXECUTION_ID] = view.execution_id
        location = {"Location": f"/workflows/{view.execution_id}"}
        return json_response(msgspec.json.encode(view), 201, location)

    return create_execution
