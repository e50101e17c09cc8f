"""`GET /workflows`: the executions that are kept, newest first."""

from __future__ import annotations

import re
from typing import Any, Final, cast, get_args

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NARROWS, NEEDS_ROLE, caller_of
from flowengine.api.edge.paging import CURSOR, LIMIT, cursor_of, limit_of
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import (
    query_moment,
    query_number,
    query_text,
    query_texts,
    refuse_value,
)
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, JsonObject, Operation, Parameter, ViewResponse
from flowengine.api.openapi.schemas import reference
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.status import ExecutionStatus
from flowengine.execution.views.executions import ListView, SummaryCountsView, SummaryView, TriggerView
from flowengine.nearest_name import nearest_name
from flowengine.workflow.labels import MAX_LABELS
from flowengine.workflow.problems import did_you_mean, quoted

MAX_CHARS: Final = 200
"""Of a text to look for."""
MAX_VERSION: Final = 999_999_999

_STATUSES: Final = get_args(ExecutionStatus)
_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_SEVERAL: Final = " May be repeated."


def _text(component: str, name: str, description: str) -> Parameter:
    schema: JsonObject = {"type": "string", "maxLength": MAX_CHARS}
    return Parameter(component=component, name=name, location="query", description=description, schema=schema)


def _moment(component: str, name: str, description: str) -> Parameter:
    schema: JsonObject = {"type": "string", "format": "date-time"}
    return Parameter(component=component, name=name, location="query", description=description, schema=schema)


PARAMETERS: Final = (
    Parameter(
        component="HasStatus",
        name="status",
        location="query",
        description="One of these statuses." + _SEVERAL,
        schema={"type": "array", "items": reference("ExecutionStatus")},
    ),
    _text("HasName", "name", "The name of the workflow, whole."),
    Parameter(
        component="HasLabel",
        name="label",
        location="query",
        description="A label with its value, `NAME:VALUE`; of several, all." + _SEVERAL,
        schema={"type": "array", "items": {"type": "string"}},
    ),
    _text("HasCorrelationId", "correlation_id", "The correlation id that it was accepted with."),
    Parameter(
        component="HasVersion",
        name="version",
        location="query",
        description="This version of its definition. A posted document has none.",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
    ),
    _text(
        "HasParent",
        "parent",
        "The id of the execution of whose nodes they are the children. Without it: no children.",
    ),
    _text("HasOrigin", "rerun_of", "The id of the execution that reruns have made them of, as new ones."),
    _moment("CreatedAfter", "created_after", "Created at this time or later."),
    _moment("CreatedBefore", "created_before", "Created before this time."),
    _text("BeginsWith", "q", "The beginning of its id, or of its name."),
    LIMIT,
    CURSOR,
)
_LISTED: Final = SummaryView(
    execution_id=example.ID,
    name=example.NAME,
    version=None,
    status="completed",
    trigger=TriggerView(kind="api"),
    waiting_for=None,
    run=1,
    counts=SummaryCountsView(total=2, unfinished=0, failed=0),
    error=None,
    labels=example.LABELS,
    correlation_id=example.CORRELATION_ID,
    created_at=example.moment(0),
    started_at=example.moment(1),
    finished_at=example.moment(3.5),
)
PAGE: Final = ListView(items=(_LISTED,), next_cursor=None)
LIST_EXECUTIONS: Final = Operation(
    summary="List executions, newest first",
    description="Those that are kept, without their nodes. All parameters narrow the list. A page costs the "
    "same however many are kept: no more than 1000 are looked at. So a page may be short, or empty, and have "
    "a `next_cursor`; the list ends where it is null.",
    parameters=PARAMETERS,
    responses={200: ViewResponse("A page", ListView, {"page": PAGE})},
    refusals=("unknown_parameter", "invalid_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows", opt={OPERATION: LIST_EXECUTIONS, NEEDS_ROLE: "read", NARROWS: True})
    async def list_executions(request: Request[Any, Any, Any]) -> Response[bytes]:
        wanted = msgspec.structs.replace(read_wanted(request), definitions=caller_of(request).definitions)
        limit = limit_of(request)
        cursor = cursor_of(request, _ID) or ""
        data = await backend.calls.store(
            lambda: msgspec.json.encode(backend.executions.list(wanted, limit=limit, cursor=cursor))
        )
        return json_response(data)

    return list_executions


def read_wanted(request: Request[Any, Any, Any]) -> Wanted:
    """What the query narrows the list to. Raises RefusalError."""
    return Wanted(
        statuses=tuple(dict.fromkeys(_status(given) for given in query_texts(request, "status"))),
        name=_bounded(request, "name"),
        labels=_labels(request),
        correlation_id=_bounded(request, "correlation_id"),
        prefix=_bounded(request, "q") or "",
        created_after=query_moment(request, "created_after"),
        created_before=query_moment(request, "created_before"),
        version=query_number(request, "version", most=MAX_VERSION),
        parent=_id(request, "parent"),
        rerun_of=_id(request, "rerun_of"),
    )


def _id(request: Request[Any, Any, Any], name: str) -> str | None:
    given = query_text(request, name)
    if given is not None and not _ID.fullmatch(given):
        raise refuse_value(name, given, "is the id of an execution")
    return given


def _bounded(request: Request[Any, Any, Any], name: str) -> str | None:
    given = query_text(request, name)
    if given is not None and (len(given) > MAX_CHARS or not given.isprintable()):
        raise refuse_value(name, given, f"is printable text of at most {MAX_CHARS} characters")
    return given


def _status(given: str) -> ExecutionStatus:
    if given not in _STATUSES:
        hint = did_you_mean(nearest_name(given, _STATUSES)) or "."
        names = ", ".join(_STATUSES)
        detail = f"There is no status {quoted(given)}{hint} There are: {names}; of several, repeat 'status'."
        raise RefusalError("invalid_parameter", detail)
    return cast(ExecutionStatus, given)


def _labels(request: Request[Any, Any, Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for given in query_texts(request, "label"):
        name, colon, value = given.partition(":")
        if not name or not colon or len(given) > MAX_CHARS or not given.isprintable():
            raise refuse_value("label", given, "is a label with its value, NAME:VALUE")
        found.append((name, value))
    if len(found) > MAX_LABELS:
        raise RefusalError("invalid_parameter", f"An execution has at most {MAX_LABELS} labels.")
    return tuple(dict.fromkeys(found))
