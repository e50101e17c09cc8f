"""What a request asks for and its route does not do: it is done as it was sent, or refused.

A part that is silently dropped would look as if it had been done: a trigger without its inputs, a POST
without the protection of its Idempotency-Key.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from flowengine.api.access.cross_site import SAFE_METHODS
from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import refuse_unknown
from flowengine.api.edge.request_bodies import ARRIVAL_S, refuse_late
from flowengine.api.openapi.operation import OPERATION, Operation

IDEMPOTENCY_KEY: Final = "Idempotency-Key"


async def refuse_unsupported(request: Request[Any, Any, Any]) -> None:
    """Raises RefusalError for a request with a part that its route does not read."""
    operation: Operation | None = request.route_handler.opt.get(OPERATION)
    if operation is None:
        return
    if request.method not in SAFE_METHODS or not request.route_handler.opt.get(NEEDS_NO_KEY):
        refuse_unknown(request, [item.name for item in operation.parameters if item.location == "query"])
    if request.method in SAFE_METHODS:
        return
    if IDEMPOTENCY_KEY in request.headers and not _protects(operation):
        raise RefusalError("not_supported")
    if operation.body is None and await _has_body(request):
        raise RefusalError("not_supported", "This route takes no body: send none.")


def _protects(operation: Operation) -> bool:
    """Whether a repetition of the request is recognised by its key."""
    return any(item.name == IDEMPOTENCY_KEY for item in operation.parameters)


async def _has_body(request: Request[Any, Any, Any]) -> bool:
    """Whether a byte of a body is announced, or comes. Raises RefusalError: 408, or 400 as for any body."""
    if "transfer-encoding" not in request.headers:
        return request.headers.get("content-length", "0").strip("0") != ""
    async with refuse_late(ARRIVAL_S):
        while True:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise RefusalError("bad_request", "The caller went away before the body was complete.")
            if message["type"] == "http.request" and (message["body"] or not message["more_body"]):
                return bool(message["body"])
