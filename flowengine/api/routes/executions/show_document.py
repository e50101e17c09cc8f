"""`GET /workflows/{execution_id}/document`: the workflow document as it was posted."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.entity_tags import tagged_response
from flowengine.api.openapi.operation import OPERATION, Operation, TextResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions.execution_id import (
    EXECUTION_ID_PARAMETER,
    TO_STATUS,
    read_about,
)

DOCUMENT: Final = """\
name: Add two numbers  # as it was posted, comments too
nodes:
  - {id: sum, handler: compute, config: {operation: add, a: 40, b: 2}}
"""
SHOW_DOCUMENT: Final = Operation(
    summary="The workflow document of an execution",
    description="The text as it was posted, in its form: YAML or JSON. Of an envelope it is the workflow, as "
    "JSON where the envelope was YAML. It never changes: `ETag` names it, and a request that has that in "
    "`If-None-Match` is answered 304, without a body.",
    parameters=(EXECUTION_ID_PARAMETER,),
    responses={
        200: TextResponse("The document", "application/yaml", DOCUMENT, links=(TO_STATUS,)),
    },
    refusals=("execution_not_found", "document_not_found"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows/{execution_id:str}/document", opt={OPERATION: SHOW_DOCUMENT, NEEDS_ROLE: "read"})
    async def show_document(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        found = await read_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.document(execution_id),
        )
        return tagged_response(request, Response(found.text, media_type=found.media_type), found.tag)

    return show_document
