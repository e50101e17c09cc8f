"""`POST /workflow`: checks a workflow document, stores a pending execution of it, and may start it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.correlation_id import correlation_of
from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import query_flag
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.unknown_definitions import unknown_definitions
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import TO_RESULTS, TO_STATUS, TO_TRIGGER
from flowengine.api.routes.executions.workflow_body import WORKFLOW_BODY, Accepted, store_workflow
from flowengine.api.routes.starting.idempotent_requests import (
    IDEMPOTENCY_KEY_PARAMETER,
    REFUSALS,
    SEND_IT_AGAIN,
    replayed,
)
from flowengine.api.routes.starting.waiting_for_the_end import (
    ENDED,
    WAIT_PARAMETER,
    held,
    refuse_wait,
    seconds_to_wait,
)
from flowengine.execution.requests.idempotency import AlreadyAnsweredError
from flowengine.execution.views.executions import CreatedView, StartedView

UNKNOWN_OUTCOME: Final = (
    "The workflow may have been stored. It has not started, and expires if nobody triggers it: send it again."
)
MAY_HAVE_STARTED: Final = (
    "The workflow may have been stored and started, or may still be. Sending it again may start it twice."
)
CREATED: Final = CreatedView(
    execution_id=example.ID,
    name=example.NAME,
    status="pending",
    created_at=example.moment(0),
    correlation_id=example.CORRELATION_ID,
)
STARTED: Final = StartedView(
    execution_id=example.ID,
    name=example.NAME,
    status="running",
    run=1,
    created_at=example.moment(0),
    correlation_id=example.CORRELATION_ID,
)
TRIGGER_PARAMETER: Final = Parameter(
    component="StartsAtOnce",
    name="trigger",
    location="query",
    description="Whether it starts at once; the envelope may say so as well.",
    schema={"type": "boolean"},
)
CREATE_EXECUTION: Final = Operation(
    summary="Accept a workflow",
    description="Validates the document, reports all its problems at once, and stores a pending execution. "
    "`warnings` are what may go wrong with a document that is accepted. Inputs may be posted with it; others "
    "may come with the trigger. With `trigger` it starts at once, in the same transaction.",
    parameters=(TRIGGER_PARAMETER, WAIT_PARAMETER, IDEMPOTENCY_KEY_PARAMETER),
    body=WORKFLOW_BODY,
    responses={
        200: ENDED,
        201: ViewResponse(
            "Stored, not yet started",
            CreatedView,
            {"created": CREATED},
            links=(TO_TRIGGER, TO_STATUS),
            has_location=True,
        ),
        202: ViewResponse(
            "Stored and started",
            StartedView,
            {"started": STARTED},
            links=(TO_STATUS, TO_RESULTS),
            has_location=True,
        ),
    },
    refusals=(
        "malformed_document",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_workflow",
        "inputs_invalid",
        "vars_invalid",
        "unknown_parameter",
        "too_many_executions",
        "concurrency_limit",
        *REFUSALS,
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @post("/workflow", opt={OPERATION: CREATE_EXECUTION, NEEDS_ROLE: "author"})
    async def create_execution(request: Request[Any, Any, Any]) -> Response[bytes]:
        seconds = seconds_to_wait(request)
        execution, answer = await _answer(request, backend, seconds)
        return await held(request, backend, execution, answer, seconds)

    return create_execution


async def _answer(
    request: Request[Any, Any, Any], backend: Backend, seconds: int | None
) -> tuple[str, Response[bytes]]:
    """The execution and the usual answer. What was sent is let go of with this: a wait comes after it."""
    asked = query_flag(request, TRIGGER_PARAMETER.name)
    correlation_id = correlation_of(request.scope)

    def store(workflow: Accepted) -> CreatedView | StartedView:
        if workflow.starts and not asked and TRIGGER_PARAMETER.name in request.query_params:
            detail = (
                "The query says 'trigger=false', and the body says that it starts: leave out one of them."
            )
            raise RefusalError("invalid_parameter", detail)
        starts = asked or workflow.starts
        if seconds is not None and not starts:
            raise refuse_wait()
        unknown = unknown_definitions(backend.executions.definitions, workflow.calls)
        make = backend.executions.start if starts else backend.executions.create
        return make(
            workflow.plan,
            correlation_id=correlation_id,
            inputs=workflow.inputs,
            labels=workflow.labels,
            document=workflow.document,
            callback_url=workflow.callback_url,
            warnings=(*workflow.warnings, *unknown),
            request=workflow.request,
        )

    def advice(workflow: Accepted | None) -> str:
        if workflow is not None and workflow.request is not None:
            return SEND_IT_AGAIN
        certainly_waits = not asked and workflow is not None and not workflow.starts
        return UNKNOWN_OUTCOME if certainly_waits else MAY_HAVE_STARTED

    try:
        view = await store_workflow(request, backend, store, advice)
    except AlreadyAnsweredError as before:
        return before.view.execution_id, replayed(request, before)
    request.scope["state"][EXECUTION_ID] = view.execution_id
    status = 202 if isinstance(view, StartedView) else 201
    location = {"Location": f"/workflows/{view.execution_id}"}
    return view.execution_id, json_response(msgspec.json.encode(view), status, location)
