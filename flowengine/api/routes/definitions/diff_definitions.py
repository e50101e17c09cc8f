"""`POST /definitions/diff`: what an apply of documents would change. Stores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from flowengine.access.scope import covers
from flowengine.api.access.key_guard import NARROWS, NEEDS_ROLE, Caller, caller_of, not_for
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES, read_document
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    Operation,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import DOCUMENT_SET
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.unknown_definitions import unknown_definitions
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.workflow_body import refused
from flowengine.engine.definitions.definitions import Compared
from flowengine.execution.definitions.views import DefinitionDiffView, DiffView
from flowengine.workflow.definitions.comparison import Difference
from flowengine.workflow.definitions.document_set import DocumentSet, check_set
from flowengine.workflow.problems import quoted

CHANGED: Final = DiffView(
    items=(
        DefinitionDiffView(
            name=example.NAME,
            value="73aee219d788186ffedf0be00c1e1dc3",
            change="changed",
            version=2,
            becomes=3,
            differences=(
                Difference(kind="added", node="notify", after='"http_request"'),
                Difference(
                    kind="changed",
                    node="fetch_data",
                    field="config.url",
                    before='"https://api.example.com/users/122"',
                    after='"https://api.example.com/users/123"',
                ),
            ),
        ),
    ),
    warnings=(),
)
DIFF_DEFINITIONS: Final = Operation(
    summary="Compare documents with what is applied",
    description="Says what an apply of each of these documents would do, and changes nothing: which version "
    "it would be, which nodes it adds and removes, and which fields it changes. If one of them is wrong, "
    "all their problems are listed, as those of a refused apply.",
    body=RequestBody(
        description="The documents, each as an object or as a text.",
        schema=DOCUMENT_SET,
        media_types=(*JSON_TYPES, YAML_TYPES[0]),
        examples={"one": BodyExample("One document", {"documents": [example.WORKFLOW]})},
    ),
    responses={200: ViewResponse("What would change", DiffView, {"changed": CHANGED})},
    refusals=(
        "malformed_document",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_workflow",
        "unknown_parameter",
    ),
    tag="definitions",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @post(
        "/definitions/diff",
        opt={OPERATION: DIFF_DEFINITIONS, NEEDS_ROLE: "read", NARROWS: True},
        status_code=200,
    )
    async def diff_definitions(request: Request[Any, Any, Any]) -> Response[bytes]:
        with backend.request_budget.share() as share:
            body = await read_document(request, backend.limits, share)
            found = await backend.calls.check(
                lambda: check_set(
                    body.data, body.form, backend.registry, backend.limits, backend.checked.check
                )
            )
            if found.problems:
                raise refused("invalid_workflow", found.problems, malformed=found.malformed)
            _refuse_others(found, caller_of(request))
            patterns = caller_of(request).definitions
            data = await backend.calls.results(
                lambda: msgspec.json.encode(_compared(found, backend, patterns))
            )
        return json_response(data)

    return diff_definitions


def _refuse_others(found: DocumentSet, caller: Caller) -> None:
    """Raises RefusalError where a key for some definitions asks about another one."""
    for document in found.documents:
        if not covers(caller.definitions, document.name):
            raise not_for(caller, f"the definition {quoted(document.name)}")


def _compared(found: DocumentSet, backend: Backend, patterns: Sequence[str]) -> DiffView:
    definitions, names = backend.executions.definitions, {each.name for each in found.documents}
    documents = [
        Compared(
            plan=document.checked.plan,
            value=document.value,
            written=document.written,
            document=document.document,
        )
        for document in found.documents
        if document.checked.plan is not None
    ]
    warnings = tuple(
        msgspec.structs.replace(warning, pointer=f"/documents/{place}{warning.pointer}")
        for place, document in enumerate(found.documents)
        for warning in (
            *document.checked.warnings,
            *unknown_definitions(definitions, document.checked.calls, known=names, patterns=patterns),
        )
    )
    return definitions.diff(documents, warnings)
