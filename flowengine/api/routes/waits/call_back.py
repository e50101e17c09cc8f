"""`POST /callbacks/{token}`: an outside service says what a node waits for."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.address_limits import AddressLimits
from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.request_bodies import JSON_TYPES, read_optional
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    Operation,
    Parameter,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import CALLED_BACK
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions.workflow_body import refused
from flowengine.engine.commands.answering.call_back import NOBODY_WAITS, Carried
from flowengine.errors import CallbackNotFoundError
from flowengine.execution.callback_tokens import MAX_TOKEN_CHARS
from flowengine.execution.records import NodeError
from flowengine.execution.views.executions import CalledBackView
from flowengine.settings import Limits
from flowengine.workflow.posting.answers import PostedCallback, read_callback

MOST_BYTES: Final = 64 * 1024
CALLS_AT_ONCE: Final = 1000
CALLS_PER_S: Final = 100
UNKNOWN_AT_ONCE: Final = 20
UNKNOWN_PER_S: Final = 2
"""Unknown tokens are counted apart: behind a proxy, strangers have the address of the services."""

UNKNOWN_OUTCOME: Final = (
    "It may have been taken, or may still be. Sent again, it is answered 410 in that case."
)
TOKEN_PARAMETER: Final = Parameter(
    component="CallbackToken",
    name="token",
    location="path",
    description="The last part of the `callback_url` that the node has sent on.",
    schema={"type": "string", "maxLength": MAX_TOKEN_CHARS},
    example="19b7ca98f2ef2c4d1b3a9e87f60.1.1.Zx0lqPvB8s1cYt5R2nWgkJd7HfUeMoA3iTb6GxVrN9Q",
)
CALL_BACK: Final = Operation(
    summary="Answer a node that waits for a callback",
    description="The URL is the right: it was made for one node in one run. The first callback decides how "
    'the node ends, and it alone: `{"error": {"code", "message"}}` and nothing else fails it, anything else '
    "is its `result`, and matches the `schema` of its `wait_for_callback`. One that comes before the node's "
    "handler has ended is kept until then. Up to 64 KiB.",
    parameters=(TOKEN_PARAMETER,),
    body=RequestBody(
        description="What the node waits for; null, where there is no body.",
        schema=CALLED_BACK,
        media_types=JSON_TYPES,
        examples={
            "result": BodyExample("What the node waits for", {"pages": 12}),
            "error": BodyExample(
                "It has failed", {"error": {"code": "unreadable", "message": "no text in it"}}
            ),
        },
        required=False,
    ),
    responses={202: ViewResponse("Taken", CalledBackView, {"taken": CalledBackView(accepted=True)})},
    refusals=(
        "not_supported",
        "malformed_document",
        "callback_not_found",
        "callback_gone",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "payload_invalid",
        "too_many_callbacks",
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions
    known = AddressLimits(CALLS_AT_ONCE, CALLS_PER_S)
    unknown = AddressLimits(UNKNOWN_AT_ONCE, UNKNOWN_PER_S)

    @post("/callbacks/{token:str}", opt={OPERATION: CALL_BACK, NEEDS_NO_KEY: True})
    async def call_back(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        address = "" if request.client is None else request.client.host
        was_given_out = await backend.calls.store(lambda: executions.was_given_out(token))
        limits = known if was_given_out else unknown
        wait_s = limits.wait_s(address)
        if wait_s:
            raise RefusalError("too_many_callbacks", headers={"Retry-After": str(math.ceil(wait_s))})
        limits.spend(address)
        if not was_given_out:
            raise CallbackNotFoundError(NOBODY_WAITS)
        carried = await _read(request, backend)
        with outcome_unknown(UNKNOWN_OUTCOME):
            data = await backend.calls.store(
                lambda: msgspec.json.encode(executions.call_back(token, carried))
            )
        return json_response(data, 202)

    return call_back


async def _read(request: Request[Any, Any, Any], backend: Backend) -> Carried:
    """What the callback carries. Raises RefusalError."""
    small: Limits = msgspec.structs.replace(backend.limits, max_body_bytes=MOST_BYTES)
    with backend.request_budget.share() as share:
        body = await read_optional(request, small, share)
    if body is None:
        return Carried()
    if body.form != "json":
        raise RefusalError(
            "unsupported_media_type",
            "Content-Type must be application/json.",
            headers={"Accept-Post": ", ".join(JSON_TYPES)},
        )
    posted: PostedCallback = await backend.calls.check(lambda: read_callback(body.data, small))
    if posted.problems:
        raise refused("invalid_body", posted.problems, malformed=posted.malformed)
    error = None if posted.error is None else NodeError(*posted.error)
    return Carried(posted.data, error)
