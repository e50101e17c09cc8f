"""`POST /workflow/trigger/{execution_id}`: starts an execution, or runs again what failed in it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    Operation,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import TRIGGER
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import (
    EXECUTION_ID_PARAMETER,
    TO_RESULTS,
    TO_STATUS,
    call_about,
)
from flowengine.api.routes.executions.workflow_body import read_posted
from flowengine.api.routes.starting.idempotent_requests import (
    IDEMPOTENCY_KEY_PARAMETER,
    REFUSALS,
    SEND_IT_AGAIN,
    idempotency_key,
    identified,
    replayed,
)
from flowengine.api.routes.starting.waiting_for_the_end import (
    ENDED,
    WAIT_PARAMETER,
    held,
    seconds_to_wait,
)
from flowengine.execution.requests.idempotency import AlreadyAnsweredError
from flowengine.execution.views.executions import TriggeredView
from flowengine.workflow.posting.posted import read_trigger

UNKNOWN_OUTCOME: Final = (
    "The trigger may have been applied, or may still be. GET {path} tells: it was, once `run` is one more "
    "than before. Sending it again starts nothing twice: while the execution runs it is answered 409."
)
TRIGGERED: Final = TriggeredView(execution_id=example.ID, status="running", run=1)
TRIGGER_BODY: Final = RequestBody(
    description="The inputs, where the workflow needs some, and labels.",
    schema=TRIGGER,
    media_types=(*JSON_TYPES, YAML_TYPES[0]),
    examples={
        "inputs": BodyExample("Two inputs", {"inputs": {"day": "2026-03-01", "threshold": 50}}),
        "labels": BodyExample("A label", {"labels": {"customer": "4711"}}),
    },
    required=False,
)
TRIGGER_EXECUTION: Final = Operation(
    summary="Start an execution",
    description="Starts a pending execution; of a failed or cancelled one what failed or was cancelled runs "
    "again, and what is below it. Of two at once exactly one starts it. The first trigger may bring inputs "
    "and labels: they take the place of those that were posted with the workflow, name by name.",
    parameters=(EXECUTION_ID_PARAMETER, WAIT_PARAMETER, IDEMPOTENCY_KEY_PARAMETER),
    body=TRIGGER_BODY,
    responses={
        200: ENDED,
        202: ViewResponse(
            "Started",
            TriggeredView,
            {"started": TRIGGERED},
            links=(TO_STATUS, TO_RESULTS),
            has_location=True,
        ),
    },
    refusals=(
        "malformed_document",
        "execution_not_found",
        "request_timeout",
        "wrong_state",
        "already_triggered",
        "body_too_large",
        "unsupported_media_type",
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

    @post("/workflow/trigger/{execution_id:str}", opt={OPERATION: TRIGGER_EXECUTION, NEEDS_ROLE: "author"})
    async def trigger_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        seconds = seconds_to_wait(request)
        answer = await _answer(request, backend, execution_id)
        return await held(request, backend, execution_id, answer, seconds)

    return trigger_execution


async def _answer(request: Request[Any, Any, Any], backend: Backend, execution_id: str) -> Response[bytes]:
    """The usual answer. What was sent is let go of with this: a wait comes after it."""
    key = idempotency_key(request)
    posted, body = await read_posted(request, backend, "inputs_invalid", read_trigger)
    inputs, labels = ({}, {}) if posted is None else (posted.inputs, posted.labels)
    correlation_id = correlation_id_of(request.scope)
    path = f"/workflows/{execution_id}"

    def trigger() -> TriggeredView:
        return backend.executions.trigger(
            execution_id,
            correlation_id=correlation_id,
            inputs=inputs,
            labels=labels,
            request=None if key is None else identified(request, key, body),
        )

    try:
        with outcome_unknown(UNKNOWN_OUTCOME.format(path=path) if key is None else SEND_IT_AGAIN):
            data = await call_about(request, execution_id, backend.calls.store, trigger)
    except AlreadyAnsweredError as before:
        return replayed(request, before)
    return json_response(data, 202, {"Location": path})
