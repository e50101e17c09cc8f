"""`GET /audit`: who has done what."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.paging import CURSOR, LIMIT, limit_of
from flowengine.api.edge.query_parameters import query_text, refuse_value
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.views.access import AuditEntryView, AuditView, audit_entry_view

_PLACE: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")

LISTED: Final = AuditView(
    items=(
        AuditEntryView(
            at=example.moment(60),
            action="cancel_execution",
            target=example.ID,
            outcome="done",
            key="ops",
            address="192.0.2.7",
            correlation_id=example.CORRELATION_ID,
        ),
        AuditEntryView(
            at=example.moment(0),
            action="make_key",
            target="ops",
            outcome="done",
            key=None,
            address=None,
        ),
    ),
    next_cursor=None,
)
LIST_AUDIT: Final = Operation(
    summary="Who has done what",
    description="What has changed something, the newest first: what was created, triggered, cancelled, "
    "revoked. Some 10,000 entries are kept. An entry is written with its change. What was refused is in the "
    "log only.",
    parameters=(LIMIT, CURSOR),
    responses={200: ViewResponse("A page of the audit", AuditView, {"audit": LISTED})},
    refusals=("unknown_parameter", "invalid_parameter"),
    tag="access",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/audit", opt={OPERATION: LIST_AUDIT, NEEDS_ROLE: "admin"})
    async def list_audit(request: Request[Any, Any, Any]) -> Response[bytes]:
        limit, before = limit_of(request), _place(query_text(request, "cursor"))
        found = await backend.calls.store(lambda: backend.access.audit(limit + 1, before))
        shown = found[:limit]
        view = AuditView(
            items=tuple(map(audit_entry_view, shown)),
            next_cursor=shown[-1].place if len(found) > len(shown) else None,
        )
        return json_response(msgspec.json.encode(view))

    return list_audit


def _place(cursor: str | None) -> str | None:
    if cursor is not None and not _PLACE.fullmatch(cursor):
        raise refuse_value("cursor", cursor, "is the next_cursor of a page before")
    return cursor
