"""`GET /events`: the status changes of all executions, as they happen."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.openapi.operation import OPERATION, Operation, TextResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.watching.event_stream import event_stream, place_reached
from flowengine.api.watching.live_reader import Watcher
from flowengine.engine.ports import Cursor
from flowengine.execution.history.live import ChangeView
from flowengine.execution.history.places import NOW

CHANGE: Final = ChangeView(at=example.moment(1), execution_id=example.ID, status="running", run=1)
WATCH_CHANGES: Final = Operation(
    summary="Status changes of all executions, live",
    description="Server-sent events, from now on, or behind `Last-Event-ID`: an execution was stored, began, "
    "is being cancelled, or has ended. The newest 10,000 are kept. The stream does not end.",
    responses={
        200: TextResponse(
            "Events named `change`",
            "text/event-stream",
            f'id: 1767323046680-0.0\nevent: change\ndata: {{"at":"{CHANGE.at}","execution_id":"{example.ID}",'
            '"status":"running","run":1}\n\n',
        )
    },
    refusals=("invalid_parameter",),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/events", opt={OPERATION: WATCH_CHANGES, NEEDS_ROLE: "read"}, media_type="text/event-stream")
    async def watch_changes(request: Request[Any, Any, Any]) -> Response[bytes] | Stream:
        reached = place_reached(request)
        cursor = Cursor("", NOW if reached is None else reached, asks=False)
        (first,) = await backend.calls.watch(lambda: backend.executions.look([cursor]))
        watcher = Watcher("", first.after if reached is None else reached, lines=False)
        return event_stream(request, backend, watcher, first)

    return watch_changes
