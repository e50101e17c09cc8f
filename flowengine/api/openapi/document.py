"""The OpenAPI 3.1 document of the API, assembled from what the routes say of themselves.

Adds what they share: schemas of views and workflows, refusals from the problem table, headers, keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.edge import correlation_id
from flowengine.api.edge.problem_documents import (
    MEDIA_TYPE,
    ProblemDocument,
    RefusalError,
    problem_document,
)
from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.api.openapi.operation import (
    OPERATION,
    JsonObject,
    Operation,
    Parameter,
    RequestBody,
    ViewResponse,
)
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.workflow.schema import document_schema

_SCHEMA_REF: Final = "#/components/schemas/{name}"
_OF_ANY_ROUTE: Final = ("internal_error", "misdirected_request")
_OF_CLOSED_ROUTES: Final = ("unauthorized",)
_TYPE_IN_PATH: Final = re.compile(r":\w+\}")
_DESCRIPTION: Final = """\
Accepts workflows, starts them, and reports on them. Every error is a problem document (RFC 9457) with a
stable `code`; every response carries `X-Correlation-ID`, taken from the request or generated."""
_CORRELATION_ID: Final = Parameter(
    component="CorrelationId",
    name=correlation_id.HEADER,
    location="header",
    description="Your id for this request: up to 128 printable ASCII characters. Others are replaced.",
    schema={"type": "string", "maxLength": 128},
)


def openapi_document(routes: Iterable[HTTPRouteHandler], registry: Registry, settings: Settings) -> bytes:
    """The document as JSON. `registry` holds the handlers that workflows may name."""
    documented = [(route, route.opt[OPERATION]) for route in routes if OPERATION in route.opt]
    operations: list[Operation] = [operation for _, operation in documented]
    workflow, definitions = _workflow_schemas(registry)
    document: JsonObject = {
        "openapi": "3.1.0",
        "info": {
            "title": "FlowEngine",
            "version": version("flowengine"),
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "tags": [{"name": "workflows", "description": "Run them"}, {"name": "service"}],
        "paths": _paths(documented),
        "components": {
            "schemas": {**_view_schemas(operations), **definitions, "Workflow": workflow},
            "headers": {"CorrelationId": _correlation_header()},
            "parameters": _parameter_components(operations),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Made by `flowengine key new`."}
            },
        },
        "security": [{"key": []}] if settings.api_keys else [],
    }
    return msgspec.json.encode(document)


def _paths(documented: Sequence[tuple[HTTPRouteHandler, Operation]]) -> JsonObject:
    paths: dict[str, JsonObject] = {}
    for route, operation in documented:
        (declared,) = route.paths
        (method,) = route.http_methods
        path = _TYPE_IN_PATH.sub("}", declared)
        paths.setdefault(path, {})[method.lower()] = _operation(route, path, operation)
    return {**paths}


def _operation(route: HTTPRouteHandler, path: str, operation: Operation) -> JsonObject:
    is_open = route.opt.get(NEEDS_NO_KEY) is True
    refusals = (*operation.refusals, *_OF_ANY_ROUTE, *(() if is_open else _OF_CLOSED_ROUTES))
    parameters = (*operation.parameters, _CORRELATION_ID)
    made: JsonObject = {
        "operationId": route.handler_name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "parameters": [{"$ref": f"#/components/parameters/{item.component}"} for item in parameters],
        "responses": {
            **{str(status): _view_response(found) for status, found in operation.responses.items()},
            **_refusals(refusals, _example_path(path, operation)),
        },
    }
    if operation.body is not None:
        made["requestBody"] = _request_body(operation.body)
    if is_open:
        made["security"] = []
    return made


def _example_path(path: str, operation: Operation) -> str:
    """The path of a request, as refusals name it."""
    examples = {item.name: item.example for item in operation.parameters if item.location == "path"}
    return path.format(**examples)


def _view_response(response: ViewResponse) -> JsonObject:
    content: JsonObject = {
        "schema": {"$ref": _SCHEMA_REF.format(name=response.view.__name__)},
        "examples": {name: {"value": _plain(view)} for name, view in response.examples.items()},
    }
    return {
        "description": response.description,
        "headers": _response_headers(),
        "content": {"application/json": content},
    }


def _refusals(kinds: Iterable[str], path: str) -> JsonObject:
    by_status: dict[str, list[str]] = {}
    for kind in kinds:
        by_status.setdefault(str(PROBLEM_KINDS[kind].status), []).append(kind)
    return {status: _refusal(by_status[status], path) for status in sorted(by_status)}


def _refusal(kinds: Sequence[str], path: str) -> JsonObject:
    """The response of one status, which may have several reasons."""
    headers = _response_headers()
    if any(PROBLEM_KINDS[kind].retry_after_s is not None for kind in kinds):
        headers["Retry-After"] = {"description": "Seconds to wait", "schema": {"type": "integer"}}
    if "unauthorized" in kinds:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    content: JsonObject = {
        "schema": {"$ref": _SCHEMA_REF.format(name=ProblemDocument.__name__)},
        "examples": {
            kind: {"summary": PROBLEM_KINDS[kind].title, "value": _example_problem(kind, path)}
            for kind in kinds
        },
    }
    return {
        "description": "; ".join(PROBLEM_KINDS[kind].title for kind in kinds),
        "headers": headers,
        "content": {MEDIA_TYPE: content},
    }


def _example_problem(kind: str, path: str) -> JsonValue:
    refusal = RefusalError(kind, problems=PROBLEM_KINDS[kind].problems)
    return _plain(problem_document(refusal, path=path, correlation_id=correlation_id.EXAMPLE))


def _request_body(body: RequestBody) -> JsonObject:
    schema: JsonObject = {"$ref": _SCHEMA_REF.format(name=body.schema)}
    content: JsonObject = {
        media_type: {
            "schema": schema,
            "examples": {
                name: {"summary": example.summary, "value": example.value}
                for name, example in examples.items()
            },
        }
        for media_type, examples in body.examples.items()
    }
    return {"required": True, "description": body.description, "content": content}


def _response_headers() -> JsonObject:
    return {correlation_id.HEADER: {"$ref": "#/components/headers/CorrelationId"}}


def _correlation_header() -> JsonObject:
    return {
        "description": "The request's id, in every log line that concerns it",
        "schema": {"type": "string", "maxLength": 128},
        "example": correlation_id.EXAMPLE,
    }


def _parameter_components(operations: Iterable[Operation]) -> JsonObject:
    used = [_CORRELATION_ID, *(item for operation in operations for item in operation.parameters)]
    return {item.component: _parameter(item) for item in used}


def _parameter(parameter: Parameter) -> JsonObject:
    described: JsonObject = {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.location == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }
    return described if parameter.example is None else {**described, "example": parameter.example}


def _view_schemas(operations: Iterable[Operation]) -> JsonObject:
    views: dict[type[msgspec.Struct], None] = {
        found.view: None for operation in operations for found in operation.responses.values()
    }
    _, schemas = msgspec.json.schema_components([*views, ProblemDocument], ref_template=_SCHEMA_REF)
    return schemas


def _workflow_schemas(registry: Registry) -> tuple[JsonObject, JsonObject]:
    """The schema of the workflow document, and what it refers to, under names of their own."""
    schema = _plain(document_schema(registry))
    assert isinstance(schema, dict)
    definitions = schema.pop("$defs", {})
    assert isinstance(definitions, dict)
    schema.pop("$schema", None)
    schema.pop("$id", None)
    workflow = _with_moved_refs(schema)
    assert isinstance(workflow, dict)
    return workflow, {f"Workflow.{name}": _with_moved_refs(value) for name, value in definitions.items()}


def _with_moved_refs(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {
            name: item.replace("#/$defs/", "#/components/schemas/Workflow.")
            if name == "$ref" and isinstance(item, str)
            else _with_moved_refs(item)
            for name, item in value.items()
        }
    return [_with_moved_refs(item) for item in value] if isinstance(value, list) else value


def _plain(value: object) -> JsonValue:
    plain: JsonValue = msgspec.json.decode(msgspec.json.encode(value))
    return plain
