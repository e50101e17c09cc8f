"""What a request asks for and its route does not do. An unsafe request is done as it was sent, or refused.
So is one with a query, where the route knows queries.

A part that is silently dropped would look as if it had been done: a trigger without its inputs, a POST
without the protection of its Idempotency-Key.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from flowengine.api.access.cross_site import SAFE_METHODS
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.request_bodies import ARRIVAL_S, refuse_late
from flowengine.api.openapi.operation import OPERATION, Operation
from flowengine.nearest_name import nearest_name

_KEY: Final = "idempotency-key"
_MAX_NAME_CHARS: Final = 100


async def refuse_unsupported(request: Request[Any, Any, Any]) -> None:
    """Raises RefusalError for an unsafe request with a part that its route does not read, and for any with a
    query parameter that its route does not know, if it knows some."""
    operation: Operation | None = request.route_handler.opt.get(OPERATION)
    if operation is None:
        return
    known = [item.name for item in operation.parameters if item.location == "query"]
    if known or request.method not in SAFE_METHODS:
        _check_query(request, known)
    if request.method in SAFE_METHODS:
        return
    if _KEY in request.headers:
        raise RefusalError("not_supported")
    if operation.body is None and await _has_body(request):
        raise RefusalError("not_supported", "This route takes no body: send none.")


def _check_query(request: Request[Any, Any, Any], known: list[str]) -> None:
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        names = ", ".join(known) or "none"
        meant = nearest_name(unknown[:_MAX_NAME_CHARS], known)
        proposal = "" if meant is None else f" Did you mean '{meant}'?"
        raise RefusalError(
            "unknown_parameter",
            f"There is no query parameter {unknown[:_MAX_NAME_CHARS]!r} here.{proposal} Known are: {names}.",
        )


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
