"""`GET /me`: who asks, and what they may do."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NARROWS, NEEDS_ROLE, caller_of
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.execution.views.access import MeView

SHOW_ME: Final = Operation(
    summary="Who asks",
    description="The key of this request, its role, and the definitions that it is for. Where the API has "
    "no keys, everybody is an admin.",
    responses={
        200: ViewResponse(
            "Who asks",
            MeView,
            {"key": MeView(key="ci", role="run"), "without_keys": MeView(key=None, role="admin")},
        )
    },
    refusals=("unknown_parameter",),
    tag="access",
)


def route(_: Backend) -> HTTPRouteHandler:
    """The route."""

    @get("/me", opt={OPERATION: SHOW_ME, NEEDS_ROLE: "read", NARROWS: True})
    async def show_me(request: Request[Any, Any, Any]) -> Response[bytes]:
        caller = caller_of(request)
        return json_response(
            msgspec.json.encode(MeView(key=caller.key, role=caller.role, definitions=caller.definitions))
        )

    return show_me
