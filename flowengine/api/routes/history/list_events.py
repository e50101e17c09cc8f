"""`GET /workflows/{execution_id}/events`: what has happened in an execution, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, limit_of
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import query_flag, query_text, refuse_value
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, TextResponse, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import (
    EXECUTION_ID_PARAMETER,
    TO_STATUS,
    call_about,
    check_id,
)
from flowengine.api.routes.history.place_parameter import place_of
from flowengine.api.watching.event_stream import MEDIA_TYPE, event_stream, place_reached, wants_stream
from flowengine.api.watching.live_reader import Watcher
from flowengine.engine.ports import Cursor, Seen
from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.history.places import LIVE_START, NOW, START, Place
from flowengine.execution.history.views import EventPage, EventView

_FIRST: Final = EventView(id="1767323046680-0.0", at=example.moment(1), kind="execution_started", run=1)
_QUEUED: Final = EventView(
    id="1767323046680-0.1", at=example.moment(1.002), kind="node_queued", node="fetch_data", attempt=1
)
_BEGUN: Final = EventView(
    id="1767323046682-0.0", at=example.moment(1.004), kind="node_started", node="fetch_data", attempt=1
)
PAGE: Final = EventPage(items=(_FIRST, _QUEUED, _BEGUN), next_cursor=_BEGUN.id)

FROM_PARAMETER: Final = Parameter(
    component="From",
    name="from",
    location="query",
    description="The `id` of the first event wanted. In a stream: `now`, for what happens from now on.",
    schema={"type": "string", "maxLength": 100},
)
LOGS_PARAMETER: Final = Parameter(
    component="Logs",
    name="logs",
    location="query",
    description="In a stream: whether the lines that nodes log and print are sent as well.",
    schema={"type": "boolean"},
)
STREAM: Final = TextResponse(
    "Events",
    "text/event-stream",
    f'id: {_FIRST.id}\nevent: event\ndata: {{"id":"{_FIRST.id}","at":"{_FIRST.at}",'
    '"kind":"execution_started","run":1}\n\n',
)
LIST_EVENTS: Final = Operation(
    summary="What has happened in an execution",
    description="Events come in their order, from the first one, or from where `from` or `cursor` says. Of "
    "an execution with very many events the oldest are dropped: then `cut` is true. With `Accept: "
    "text/event-stream` they are sent as they happen, behind `Last-Event-ID`, with progress (`progress`), "
    "text that nodes send on (`text`) and, with `logs=true`, lines (`line`); the stream ends with the "
    "execution.",
    parameters=(
        EXECUTION_ID_PARAMETER,
        LIMIT,
        CURSOR,
        FROM_PARAMETER,
        LOGS_PARAMETER,
    ),
    responses={200: ViewResponse("Events", EventPage, {"begun": PAGE}, links=(TO_STATUS,), stream=STREAM)},
    refusals=("execution_not_found", "unknown_parameter", "invalid_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows/{execution_id:str}/events", opt={OPERATION: LIST_EVENTS, NEEDS_ROLE: "read"})
    async def list_events(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes] | Stream:
        if wants_stream(request):
            return await _watch(backend, request, execution_id)
        _refuse_what_is_not_of(request, "a page", ("logs",))
        limit, after = limit_of(request), after_of(request)
        data = await call_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.events(execution_id, after=after, limit=limit),
        )
        return json_response(data)

    return list_events


async def _watch(
    backend: Backend, request: Request[Any, Any, Any], execution_id: str
) -> Response[bytes] | Stream:
    """What has happened and what happens, as server-sent events. Raises ExecutionNotFoundError."""
    check_id(request, execution_id)
    _refuse_what_is_not_of(request, "a stream", ("limit", "cursor"))
    reached, lines = place_reached(request), query_flag(request, "logs")
    after = (NOW if _from_now_on(request) else LIVE_START) if reached is None else reached
    cursor = Cursor(execution_id, after, lines=lines)

    def begin() -> tuple[Seen, bool]:
        (seen,) = backend.executions.look([cursor])
        if not seen.is_there:
            raise ExecutionNotFoundError.of(execution_id)
        return seen, after != NOW and backend.executions.events_are_cut(execution_id, after)

    first, cut = await backend.calls.watch(begin)
    watcher = Watcher(execution_id, first.after if after == NOW else after, lines=lines)
    return event_stream(request, backend, watcher, first, cut=cut)


def _refuse_what_is_not_of(request: Request[Any, Any, Any], form: str, names: Sequence[str]) -> None:
    """Raises RefusalError for the first of these parameters that is given: this form of the answer would
    have to ignore it."""
    given = next((name for name in names if name in request.query_params), None)
    if given is not None:
        other = "without" if form == "a stream" else "with"
        raise RefusalError(
            "invalid_parameter",
            f"The query parameter {given!r} is not one of {form}: leave it out, or ask {other} the header "
            f"`Accept: {MEDIA_TYPE}`.",
        )


def _from_now_on(request: Request[Any, Any, Any]) -> bool:
    """Whether only what happens from now on is wanted. Raises RefusalError for another `from`."""
    text = query_text(request, "from")
    if text not in (None, "now"):
        raise refuse_value("from", text, "must be 'now' in a stream; Last-Event-ID says behind which event")
    return text is not None


def after_of(request: Request[Any, Any, Any]) -> Place:
    """The place behind which the page begins. Raises RefusalError."""
    cursor, first = place_of(request, "cursor"), place_of(request, "from")
    if cursor is not None and first is not None:
        raise RefusalError("invalid_parameter", "The query has both 'cursor' and 'from': give one of them.")
    if first is not None:
        return first._replace(offset=first.offset - 1)
    return START if cursor is None else cursor
