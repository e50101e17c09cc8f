"""`GET /waiting`: what waits for a person, over all executions."""

from __future__ import annotations

from typing import Any, Final, cast, get_args

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, cursor_of, limit_of
from flowengine.api.edge.query_parameters import query_text, refuse_value
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.views.executions import PersonKind, WaitingItemView, WaitingView

KINDS: Final = get_args(PersonKind)
WAITING: Final = WaitingView(
    items=(
        WaitingItemView(
            execution_id=example.ID,
            name=example.NAME,
            run=1,
            node="release",
            attempt=1,
            kind="approval",
            since=example.moment(2),
            until=example.moment(604_802),
            prompt="May it go out?",
        ),
    ),
    next_cursor=None,
)
LIST_WAITING: Final = Operation(
    summary="List what waits for a person",
    description="Nodes that ask for an approval or wait for a signal, over all executions that run or are "
    "paused: those first whose time is over first. `prompt`, `names` and `schema` are there where the node "
    "has some. A page looks at no more than 1000 waits, so that it may be short and have a `next_cursor`. A "
    "wait whose time was over during a pause is not listed until the execution goes on.",
    parameters=(
        Parameter(
            component="WaitsFor",
            name="kind",
            location="query",
            description="Of this kind only.",
            schema={"type": "string", "enum": list(KINDS)},
        ),
        LIMIT,
        CURSOR,
    ),
    responses={200: ViewResponse("A page", WaitingView, {"page": WAITING})},
    refusals=("unknown_parameter", "invalid_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/waiting", opt={OPERATION: LIST_WAITING, NEEDS_ROLE: "read"})
    async def list_waiting(request: Request[Any, Any, Any]) -> Response[bytes]:
        given = query_text(request, "kind")
        if given is not None and given not in KINDS:
            raise refuse_value("kind", given, f"is {' or '.join(KINDS)}")
        kinds = KINDS if given is None else (cast(PersonKind, given),)
        limit, cursor = limit_of(request), cursor_of(request) or ""
        data = await backend.calls.store(
            lambda: msgspec.json.encode(backend.executions.waiting(kinds, limit=limit, cursor=cursor))
        )
        return json_response(data)

    return list_waiting
