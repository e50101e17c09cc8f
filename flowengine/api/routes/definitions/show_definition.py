"""`GET /definitions`, `/definitions/{name}`, its versions and its picture."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NARROWS, NEEDS_ROLE, caller_of
from flowengine.api.edge.entity_tags import tagged_response
from flowengine.api.edge.paging import CURSOR, LIMIT, cursor_of, limit_of
from flowengine.api.edge.query_parameters import query_number
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.definition_name import (
    NAME_PARAMETER,
    TO_START,
    VERSION_PARAMETER,
    version_of,
)
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.list_executions import MAX_VERSION
from flowengine.api.routes.executions.show_graph import DRAWN
from flowengine.execution.definitions.views import (
    ChangesView,
    DefinitionListView,
    DefinitionSummaryView,
    DefinitionView,
    VersionListView,
    VersionView,
)
from flowengine.layout.drawing import Drawing
from flowengine.workflow.definitions.comparison import Difference

_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,1000}")
_DESCRIPTION: Final = "Fetches the numbers of a day and has a model judge them."
LISTED: Final = DefinitionListView(
    items=(
        DefinitionSummaryView(
            name=example.NAME,
            version=2,
            description=_DESCRIPTION,
            labels=example.LABELS,
            nodes=2,
            applied_at=example.moment(0),
            applied_by="ops",
        ),
    ),
    next_cursor=None,
)
SHOWN: Final = DefinitionView(
    name=example.NAME,
    version=2,
    current=2,
    description=_DESCRIPTION,
    labels=example.LABELS,
    nodes=2,
    applied_at=example.moment(0),
    applied_by="ops",
    media_type="application/yaml",
    document="name: the text as it was applied, comments too\nnodes: ...\n",
    input_schema={"type": msgspec.Raw(b'"object"')},
    graph=DRAWN,
)
VERSIONS: Final = VersionListView(
    items=tuple(
        VersionView(
            version=number,
            current=number == 2,
            description=_DESCRIPTION,
            labels=example.LABELS,
            nodes=number,
            applied_at=example.moment(number),
            applied_by="ops",
        )
        for number in (2, 1)
    ),
    next_cursor=None,
)
LIST_DEFINITIONS: Final = Operation(
    summary="List the definitions",
    description="By name, each with the version that is in force. A page of a key for some definitions only "
    "may be short, and have a `next_cursor`.",
    parameters=(LIMIT, CURSOR),
    responses={200: ViewResponse("A page", DefinitionListView, {"page": LISTED})},
    refusals=("unknown_parameter", "invalid_parameter"),
    tag="definitions",
)
SHOW_DEFINITION: Final = Operation(
    summary="A definition",
    description="The version in force, or another one: its document, its picture, and the JSON Schema of "
    "what its executions are given. `ETag` names it: a request that has that in `If-None-Match` is answered "
    "304.",
    parameters=(NAME_PARAMETER, VERSION_PARAMETER),
    responses={200: ViewResponse("The version", DefinitionView, {"shown": SHOWN}, links=(TO_START,))},
    refusals=("definition_not_found", "unknown_parameter", "invalid_parameter"),
    tag="definitions",
)
SHOW_DEFINITION_GRAPH: Final = Operation(
    summary="The picture of a definition",
    description="As that of an execution: where each node stands, and how each edge runs.",
    parameters=(NAME_PARAMETER, VERSION_PARAMETER),
    responses={200: ViewResponse("The picture", Drawing, {"drawn": DRAWN})},
    refusals=("definition_not_found", "unknown_parameter", "invalid_parameter"),
    tag="definitions",
)
LIST_VERSIONS: Final = Operation(
    summary="The versions of a definition",
    description="The newest first. Those that are old and of which no execution is kept go with time "
    "(FLOWENGINE_DEFINITION_VERSIONS).",
    parameters=(NAME_PARAMETER, LIMIT, CURSOR),
    responses={200: ViewResponse("A page", VersionListView, {"page": VERSIONS})},
    refusals=("definition_not_found", "unknown_parameter", "invalid_parameter"),
    tag="definitions",
)

SINCE_PARAMETER: Final = Parameter(
    component="SinceVersion",
    name="since",
    location="query",
    description="The version to compare with; without it, the one before.",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
)
CHANGED: Final = ChangesView(
    name=example.NAME,
    version=2,
    since=1,
    differences=(Difference(kind="added", node="analyze_with_llm", after='"llm_service"'),),
)
SHOW_CHANGES: Final = Operation(
    summary="What a version has changed",
    description="Which nodes it adds and removes, and which fields it changes.",
    parameters=(NAME_PARAMETER, VERSION_PARAMETER, SINCE_PARAMETER),
    responses={200: ViewResponse("What differs", ChangesView, {"changed": CHANGED})},
    refusals=("definition_not_found", "unknown_parameter", "invalid_parameter"),
    tag="definitions",
)


def list_route(backend: Backend) -> HTTPRouteHandler:
    """The list, over this backend."""

    @get("/definitions", opt={OPERATION: LIST_DEFINITIONS, NEEDS_ROLE: "read", NARROWS: True})
    async def list_definitions(request: Request[Any, Any, Any]) -> Response[bytes]:
        limit, cursor, seen = limit_of(request), _cursor(request), caller_of(request).definitions
        data = await backend.calls.store(
            lambda: msgspec.json.encode(
                backend.executions.definitions.list(limit=limit, cursor=cursor, patterns=seen)
            )
        )
        return json_response(data)

    return list_definitions


def show_route(backend: Backend) -> HTTPRouteHandler:
    """A definition, over this backend."""

    @get("/definitions/{name:str}", opt={OPERATION: SHOW_DEFINITION, NEEDS_ROLE: "read"})
    async def show_definition(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        version, seen = version_of(request), caller_of(request).definitions
        data, tag = await backend.calls.results(
            lambda: _tagged(backend.executions.definitions.show(name, version, seen))
        )
        return tagged_response(request, json_response(data), tag)

    return show_definition


def graph_route(backend: Backend) -> HTTPRouteHandler:
    """Its picture, over this backend."""

    @get("/definitions/{name:str}/graph", opt={OPERATION: SHOW_DEFINITION_GRAPH, NEEDS_ROLE: "read"})
    async def show_definition_graph(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        version = version_of(request)
        found = await backend.calls.results(lambda: backend.executions.definitions.graph(name, version))
        return tagged_response(request, json_response(found.data), found.tag)

    return show_definition_graph


def versions_route(backend: Backend) -> HTTPRouteHandler:
    """Its versions, over this backend."""

    @get("/definitions/{name:str}/versions", opt={OPERATION: LIST_VERSIONS, NEEDS_ROLE: "read"})
    async def list_versions(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        limit, cursor = limit_of(request), _cursor(request)
        data = await backend.calls.store(
            lambda: msgspec.json.encode(
                backend.executions.definitions.versions(name, limit=limit, cursor=cursor)
            )
        )
        return json_response(data)

    return list_versions


def changes_route(backend: Backend) -> HTTPRouteHandler:
    """What a version has changed, over this backend."""

    @get("/definitions/{name:str}/changes", opt={OPERATION: SHOW_CHANGES, NEEDS_ROLE: "read"})
    async def show_changes(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        version = version_of(request)
        since = query_number(request, SINCE_PARAMETER.name, most=MAX_VERSION)
        data = await backend.calls.results(
            lambda: msgspec.json.encode(backend.executions.definitions.changes(name, version, since))
        )
        return json_response(data)

    return show_changes


def _cursor(request: Request[Any, Any, Any]) -> str:
    return cursor_of(request, _CURSOR) or ""


def _tagged(view: DefinitionView) -> tuple[bytes, str]:
    data = msgspec.json.encode(view)
    return data, blake2b(data, digest_size=16).hexdigest()
