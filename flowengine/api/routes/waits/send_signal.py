"""`POST /workflows/{execution_id}/signals/{signal}`: sends an execution what one of its nodes waits for."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.access.acting import explain
from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import query_number, query_text
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    Operation,
    Parameter,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import PAYLOAD
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.api.routes.executions.workflow_body import read_posted
from flowengine.execution.signals import MOST_KEPT_BYTES, SIGNAL_BYTES
from flowengine.execution.views.executions import SignalledView
from flowengine.workflow.posting.answers import PostedPayload, read_payload

UNKNOWN_OUTCOME: Final = "It may have been kept, or may still be. GET {path}/events tells."
MOST_ITERATIONS: Final = 10_000
MOST_BYTES: Final = MOST_KEPT_BYTES - SIGNAL_BYTES
SIGNAL_PARAMETER: Final = Parameter(
    component="SignalName",
    name="signal",
    location="path",
    description="The name of the signal, as the document has it.",
    schema={"type": "string", "maxLength": 200},
    example="paid",
)
PICK_PARAMETERS: Final = (
    Parameter(
        component="PickedItem",
        name="item",
        location="query",
        description="The key of the item that is meant, where what waits runs for each item of a map.",
        schema={"type": "string", "minLength": 1, "maxLength": 200},
    ),
    Parameter(
        component="PickedIteration",
        name="iteration",
        location="query",
        description="Only if the group in which it waits is in this iteration.",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_ITERATIONS},
    ),
)
SENT: Final = SignalledView(execution_id=example.ID, signal="paid", run=1)
SEND_SIGNAL: Final = Operation(
    summary="Send a signal",
    description="Gives a node that waits for this signal what the body carries: any JSON value, which "
    "matches the node's `schema`. The node that has waited longest takes it. If none waits, it is kept until "
    "one does, first in first out, up to 1 MiB in all; also over another trigger. Each signal is taken "
    "once. It is kept for nodes in groups as well, also for groups to come. `item` and `iteration` pick a "
    "child, which keeps it then; `execution_id` in the answer names it.",
    parameters=(EXECUTION_ID_PARAMETER, SIGNAL_PARAMETER, *PICK_PARAMETERS),
    body=RequestBody(
        description="What the signal carries; null, where there is no body.",
        schema=PAYLOAD,
        media_types=(*JSON_TYPES, YAML_TYPES[0]),
        examples={"paid": BodyExample("What a shop tells", {"order": 7, "amount": 40})},
        required=False,
    ),
    responses={
        202: ViewResponse("Kept", SignalledView, {"sent": SENT}, links=(TO_STATUS,), has_location=True)
    },
    refusals=(
        "not_supported",
        "malformed_document",
        "execution_not_found",
        "signal_not_found",
        "request_timeout",
        "wrong_state",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "payload_invalid",
        "unknown_parameter",
        "invalid_parameter",
        "signals_full",
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions

    @post(
        "/workflows/{execution_id:str}/signals/{signal:str}",
        opt={OPERATION: SEND_SIGNAL, NEEDS_ROLE: "decide"},
    )
    async def send_signal(
        request: Request[Any, Any, Any], execution_id: FromPath[str], signal: FromPath[str]
    ) -> Response[bytes]:
        posted, _ = await read_posted(request, backend, "invalid_body", read_payload)
        item = query_text(request, "item")
        iteration = query_number(request, "iteration", most=MOST_ITERATIONS)
        payload = (posted or PostedPayload()).data
        if len(payload) > MOST_BYTES:
            detail = f"What a signal carries may have {MOST_BYTES} bytes as JSON; it has {len(payload)}."
            raise RefusalError("body_too_large", detail)
        explain(reason=f"signal {signal[:200]}")
        path = f"/workflows/{execution_id}"
        with outcome_unknown(UNKNOWN_OUTCOME.format(path=path)):
            data = await call_about(
                request,
                execution_id,
                backend.calls.store,
                lambda: executions.send_signal(execution_id, signal, payload, item=item, iteration=iteration),
            )
        return json_response(data, 202, {"Location": path})

    return send_signal
