"""The header Idempotency-Key: who may send what, what a repetition is, and how it is answered."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from litestar import Request, Response

from flowengine.api.access.key_guard import caller_of
from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.responses import json_response
from flowengine.api.edge.unsupported_parts import IDEMPOTENCY_KEY
from flowengine.api.openapi.operation import Parameter
from flowengine.execution.requests.idempotency import (
    AlreadyAnsweredError,
    IdempotentRequest,
    idempotent_request,
)
from flowengine.execution.views.executions import CreatedView

REPLAYED: Final = "Idempotency-Replayed"
MAX_CHARS: Final = 255
IDEMPOTENCY_KEY_PARAMETER: Final = Parameter(
    component="IdempotencyKey",
    name=IDEMPOTENCY_KEY,
    location="header",
    description="Makes the request safe to repeat: the same request with the same key is done once, and "
    f"answered again as before, with `{REPLAYED}: true`. Another request with it is refused. A key is known "
    "as long as the execution is kept, of one caller and one route.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_CHARS, "pattern": "^[!-~]+$"},
)
SEND_IT_AGAIN: Final = "Send it again with the same Idempotency-Key: it is done once."
REFUSALS: Final = ("idempotency_conflict", "invalid_parameter")

_KEY: Final = re.compile(f"[!-~]{{1,{MAX_CHARS}}}")


def idempotency_key(request: Request[Any, Any, Any]) -> str | None:
    """The key of a request that has one. Raises RefusalError for what is none."""
    sent = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        raise RefusalError(
            "invalid_parameter",
            f"The header {IDEMPOTENCY_KEY} stands once, as 1 to {MAX_CHARS} visible ASCII characters.",
        )
    return str(sent[0])


def identified(request: Request[Any, Any, Any], key: str, body: bytes, *about: str) -> IdempotentRequest:
    """The request as it is told from others. `about`: what else has keys of its own: a definition. Takes some
    milliseconds for a large body."""
    scope = (request.route_handler.handler_name, caller_of(request).key or "", *about)
    media_type = request.headers.get("content-type", "").encode("latin-1")
    query: bytes = request.scope["query_string"]
    return idempotent_request(scope, key, (media_type, query, body))


def replayed(request: Request[Any, Any, Any], error: AlreadyAnsweredError) -> Response[bytes]:
    """The answer that the request got before."""
    view = error.view
    request.scope["state"][EXECUTION_ID] = view.execution_id
    headers = {"Location": f"/workflows/{view.execution_id}", REPLAYED: "true"}
    status = 201 if isinstance(view, CreatedView) else 202
    return json_response(msgspec.json.encode(view), status, headers)
