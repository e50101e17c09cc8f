"""`POST /workflows/bulk`: one action on many executions; `GET /workflows/bulk/{bulk_id}`: how far it is."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    Link,
    Operation,
    Parameter,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import BULK
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.steering.bulk_body import read_bulk
from flowengine.execution.requests.bulk import BulkView

BULK_ID: Final = "19b7ca98f2ef2c4d1b3a9e87f61"
UNKNOWN_OUTCOME: Final = (
    "It may have begun, or may still. Sending it again does no harm to executions: what was done is found so."
)
BEGUN: Final = BulkView(
    bulk_id=BULK_ID,
    action="delete",
    dry_run=False,
    status="running",
    seen=0,
    done=0,
    refused={},
    created_at=example.moment(0),
    finished_at=None,
)
FINISHED: Final = msgspec.structs.replace(
    BEGUN, status="finished", seen=120, done=118, refused={"running": 2}, finished_at=example.moment(2)
)
TO_PROGRESS: Final = Link("show_bulk", "How far it is", {"bulk_id": "$response.body#/bulk_id"})
START_BULK: Final = Operation(
    summary="Act on many executions",
    description="Cancels, pauses, resumes, reruns or deletes the executions of these `ids` (1000 at most), "
    "or those that a `filter` finds among what was created before the request. It runs in the background: "
    "the answer names it, and `GET /workflows/bulk/{bulk_id}` tells how far it is. Each execution is dealt "
    "with as by a request of its own; what cannot be done to it is counted, with why. With `dry_run` nothing "
    "is done, and counted what would be. Of a rerun, `mode` says what begins again: `failed`, what has "
    "failed or was cancelled, or `all`; `nodes_reset` and `results_reused` count its nodes.",
    body=RequestBody(
        description="What to do, and to which executions.",
        schema=BULK,
        media_types=(*JSON_TYPES, YAML_TYPES[0]),
        examples={
            "filter": BodyExample(
                "Deletes what failed in a team",
                {"action": "delete", "filter": {"status": ["failed"], "label": ["team:data"]}},
            ),
            "rerun": BodyExample(
                "Counts what a rerun of all that failed would do",
                {"action": "rerun", "mode": "failed", "filter": {"status": ["failed"]}, "dry_run": True},
            ),
            "ids": BodyExample("Cancels one", {"action": "cancel", "ids": [example.ID], "reason": "stuck"}),
        },
    ),
    responses={
        202: ViewResponse("Begun", BulkView, {"begun": BEGUN}, links=(TO_PROGRESS,), has_location=True)
    },
    refusals=(
        "not_supported",
        "malformed_document",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "unknown_parameter",
    ),
)
SHOW_BULK: Final = Operation(
    summary="Show how far an action on many is",
    description="It is kept for a week after it has finished (FLOWENGINE_RETENTION_SECONDS).",
    parameters=(
        Parameter(
            component="BulkId",
            name="bulk_id",
            location="path",
            description="The `bulk_id` that POST /workflows/bulk answered.",
            schema={"type": "string", "minLength": 1, "maxLength": 64},
            example=BULK_ID,
        ),
    ),
    responses={200: ViewResponse("How far it is", BulkView, {"finished": FINISHED})},
    refusals=("bulk_not_found", "unknown_parameter"),
)


def start_route(backend: Backend) -> HTTPRouteHandler:
    """The beginning of one, over this backend."""
    executions = backend.executions

    @post("/workflows/bulk", opt={OPERATION: START_BULK, NEEDS_ROLE: "operate"})
    async def start_bulk(request: Request[Any, Any, Any]) -> Response[bytes]:
        bulk = await read_bulk(request, backend)
        with outcome_unknown(UNKNOWN_OUTCOME):
            view = await backend.calls.store(lambda: executions.start_bulk(bulk))
        location = {"Location": f"/workflows/bulk/{view.bulk_id}"}
        return json_response(msgspec.json.encode(view), 202, location)

    return start_bulk


def show_route(backend: Backend) -> HTTPRouteHandler:
    """How far one is, over this backend."""
    executions = backend.executions

    @get("/workflows/bulk/{bulk_id:str}", opt={OPERATION: SHOW_BULK, NEEDS_ROLE: "read"})
    async def show_bulk(bulk_id: FromPath[str]) -> Response[bytes]:
        view = await backend.calls.store(lambda: executions.bulk(bulk_id))
        return json_response(msgspec.json.encode(view))

    return show_bulk
