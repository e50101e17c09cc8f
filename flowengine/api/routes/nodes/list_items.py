"""`GET /workflows/{execution_id}/nodes/{node_id}/items`: the items of a map."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, limit_of
from flowengine.api.edge.query_parameters import query_flag, query_text, query_texts, refuse_value
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.api.routes.history.list_lines import NODE_PARAMETER
from flowengine.execution.records import NodeError
from flowengine.execution.views.executions import NULL
from flowengine.execution.views.maps import ITEM_STATUSES, ItemPage, ItemStatus, ItemView

_MOST_INDEX: Final = 999_999_999
_COMPLETED: Final = ItemView(
    index=0,
    key="a-1",
    status="completed",
    tries=1,
    started_at=example.moment(1.1),
    finished_at=example.moment(1.2),
    error=None,
    result=msgspec.Raw(b'{"result":144.0}'),
)
_FAILED: Final = ItemView(
    index=1,
    key="a-2",
    status="failed",
    tries=3,
    started_at=example.moment(1.1),
    finished_at=example.moment(1.3),
    error=NodeError("connection_failed", "the service could not be reached"),
    result=NULL,
)
PAGE: Final = ItemPage(items=(_COMPLETED, _FAILED), next_cursor="2")

STATUS_PARAMETER: Final = Parameter(
    component="ItemStatus",
    name="status",
    location="query",
    description="Only items in this status; may be given several times.",
    schema={"type": "array", "items": {"type": "string", "enum": list(ITEM_STATUSES)}},
)
FROM_PARAMETER: Final = Parameter(
    component="FirstItem",
    name="from",
    location="query",
    description="The index of the first item that is listed, 0 unless it is given. A `cursor` goes before.",
    schema={"type": "integer", "minimum": 0, "maximum": _MOST_INDEX},
)
RESULTS_PARAMETER: Final = Parameter(
    component="WithResults",
    name="results",
    location="query",
    description="`false`: the results are left out, `result` is null of each item.",
    schema={"type": "boolean"},
)
LIST_ITEMS: Final = Operation(
    summary="The items of a map",
    description=(
        "In their order. A node that is no map has none, nor has one whose items are not known yet. A page "
        "looks at 1000 items at most, so that it may be short and still lead to a next one. A result over "
        "64 KiB is left out."
    ),
    parameters=(
        EXECUTION_ID_PARAMETER,
        NODE_PARAMETER,
        STATUS_PARAMETER,
        FROM_PARAMETER,
        RESULTS_PARAMETER,
        LIMIT,
        CURSOR,
    ),
    responses={200: ViewResponse("Items", ItemPage, {"items": PAGE}, links=(TO_STATUS,))},
    refusals=("execution_not_found", "node_not_found", "unknown_parameter", "invalid_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get(
        "/workflows/{execution_id:str}/nodes/{node_id:str}/items",
        opt={OPERATION: LIST_ITEMS, NEEDS_ROLE: "read"},
    )
    async def list_items(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        limit, cursor = limit_of(request), query_text(request, "cursor")
        statuses = frozenset([_status(value) for value in query_texts(request, "status")])
        begin, with_results = _begin(request), query_flag(request, "results", default=True)
        data = await call_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.items(
                execution_id,
                node_id,
                statuses=statuses,
                begin=begin,
                with_results=with_results,
                limit=limit,
                cursor=cursor,
            ),
        )
        return json_response(data)

    return list_items


def _begin(request: Request[Any, Any, Any]) -> int:
    given = query_text(request, "from")
    if given is None or given == "0":
        return 0
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise refuse_value("from", given, "is the index of an item")
    return int(given)


def _status(value: str) -> ItemStatus:
    for status in ITEM_STATUSES:
        if status == value:
            return status
    raise refuse_value("status", value, f"is {', '.join(ITEM_STATUSES)}")
