"""The OpenAPI 3.1 document of the API, assembled from what the routes say of themselves.

What several of them share stands once, among the components, and is referred to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_NO_KEY, role_of
from flowengine.api.edge import correlation_id
from flowengine.api.openapi.operation import (
    OPERATION,
    JsonObject,
    Link,
    Operation,
    Parameter,
    RequestBody,
    TextResponse,
    ViewResponse,
)
from flowengine.api.openapi.refusals import refusal_components, refusal_responses, refusal_table
from flowengine.api.openapi.schemas import name_of, plain, reference, schema_components
from flowengine.plugin import Registry

_TYPE_IN_PATH: Final = re.compile(r":\w+\}")
_DESCRIPTION: Final = """\
Accepts workflows, starts them, and reports on them.

Every error is a problem document (RFC 9457) with a stable `code`. Every response carries `X-Correlation-ID`,
taken from the request or generated. 429 and 503 say in `Retry-After` when to come again.

A change that is answered 503 `store_unavailable` may have been made: `detail` says how to find out.

"""
_CORRELATION_ID: Final = Parameter(
    component="CorrelationId",
    name=correlation_id.HEADER,
    location="header",
    description="Your id for this request: up to 128 printable ASCII characters. Others are replaced.",
    schema=reference("CorrelationId"),
)
_HEADERS: Final[JsonObject] = {
    "CorrelationId": {
        "description": "The request's id, in every log line that concerns it",
        "schema": reference("CorrelationId"),
        "example": correlation_id.EXAMPLE,
    },
    "Location": {
        "description": "The path of the execution's status",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RetryAfter": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}},
    "Challenge": {"description": "How to send a key (RFC 9110, 11.6.1)", "schema": {"type": "string"}},
}
_TAGS: Final = {
    "workflows": "Run workflows and see what becomes of them",
    "definitions": "Keep workflows under their names, and start them",
    "service": "The service itself",
    "access": "Who may use it",
}

_Documented = tuple[HTTPRouteHandler, Operation]


def openapi_document(routes: Iterable[HTTPRouteHandler], registry: Registry, *, asks_for_keys: bool) -> bytes:
    """The document as JSON. `registry` holds the handlers that workflows may name."""
    documented: list[_Documented] = [
        (route, route.opt[OPERATION]) for route in routes if OPERATION in route.opt
    ]
    operations = [operation for _, operation in documented]
    document: JsonObject = {
        "openapi": "3.1.0",
        "info": {
            "title": "FlowEngine",
            "version": version("flowengine"),
            "description": _DESCRIPTION + refusal_table(),
            "contact": {"name": "The maintainers of FlowEngine"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This service"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": _paths(documented),
        "components": {
            "schemas": schema_components(_views(operations), registry),
            "responses": refusal_components(
                [(_refusals(*pair), _example_path(*pair)) for pair in documented],
                _example_path(*_about_an_execution(documented)),
            ),
            "headers": _HEADERS,
            "parameters": _parameter_components(operations),
            "links": _link_components(documented),
        },
        "security": [],
    }
    return msgspec.json.encode(_with_key(document) if asks_for_keys else document)


def _with_key(document: JsonObject) -> JsonObject:
    components = document["components"]
    assert isinstance(components, dict)
    scheme: JsonObject = {"type": "http", "scheme": "bearer", "description": "Made by `flowengine key new`."}
    return {
        **document,
        "components": {**components, "securitySchemes": {"key": scheme}},
        "security": [{"key": []}],
    }


def _paths(documented: Sequence[_Documented]) -> JsonObject:
    names = {route.handler_name for route, _ in documented}
    paths: dict[str, JsonObject] = {}
    for route, operation in documented:
        (method,) = route.http_methods
        paths.setdefault(_path(route), {})[method.lower()] = _operation(route, operation)
        unknown = {link.operation for found in operation.responses.values() for link in found.links} - names
        assert not unknown, f"links to no operation: {unknown}"
    return {**paths}


def _path(route: HTTPRouteHandler) -> str:
    (declared,) = route.paths
    return _TYPE_IN_PATH.sub("}", declared)


def _operation(route: HTTPRouteHandler, operation: Operation) -> JsonObject:
    parameters = (*operation.parameters, _CORRELATION_ID)
    made: JsonObject = {
        "operationId": route.handler_name,
        "summary": operation.summary,
        "description": _description(route, operation),
        "tags": [operation.tag],
        "parameters": [{"$ref": f"#/components/parameters/{item.component}"} for item in parameters],
        "responses": {
            **{str(status): _response(found) for status, found in operation.responses.items()},
            **refusal_responses(_refusals(route, operation)),
        },
    }
    if operation.body is not None:
        made["requestBody"] = _request_body(operation.body)
    if route.opt.get(NEEDS_NO_KEY) is True:
        made["security"] = []
    return made


def _description(route: HTTPRouteHandler, operation: Operation) -> str:
    """What the operation says of itself, and which keys open it."""
    if route.opt.get(NEEDS_NO_KEY) is True:
        return operation.description
    return f"{operation.description}\n\nNeeds a key with the role `{role_of(route)}`, where the API has keys."


def _refusals(route: HTTPRouteHandler, operation: Operation) -> tuple[str, ...]:
    """What it may be refused for, a key of a lower role included."""
    return (
        operation.refusals
        if route.opt.get(NEEDS_NO_KEY) is True
        else (*operation.refusals, "role_missing", "definition_missing")
    )


def _about_an_execution(documented: Sequence[_Documented]) -> _Documented:
    """The operation whose path stands in the examples of what any route may answer."""
    return next(pair for pair in documented if any(item.location == "path" for item in pair[1].parameters))


def _example_path(route: HTTPRouteHandler, operation: Operation) -> str:
    """The path of a request, as refusals name it."""
    examples = {item.name: item.example for item in operation.parameters if item.location == "path"}
    return _path(route).format(**examples)


def _response(response: ViewResponse | TextResponse) -> JsonObject:
    headers: JsonObject = {correlation_id.HEADER: {"$ref": "#/components/headers/CorrelationId"}}
    if isinstance(response, TextResponse):
        return {"description": response.description, "headers": headers, "content": _text(response)}
    return _view_response(response, headers)


def _text(response: TextResponse) -> JsonObject:
    return {response.media_type: {"schema": {"type": "string"}, "example": response.example}}


def _view_response(response: ViewResponse, headers: JsonObject) -> JsonObject:
    if response.has_location:
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    content: JsonObject = {
        "schema": reference(name_of(response.view)),
        "examples": {name: {"value": plain(view)} for name, view in response.examples.items()},
    }
    made: JsonObject = {
        "description": response.description,
        "headers": headers,
        "content": {
            "application/json": content,
            **({} if response.stream is None else _text(response.stream)),
        },
    }
    if response.links:
        made["links"] = {link.operation: {"$ref": _link_ref(link.operation)} for link in response.links}
    return made


def _link_ref(operation: str) -> str:
    return f"#/components/links/{operation}"


def _link_components(documented: Iterable[_Documented]) -> JsonObject:
    links: dict[str, Link] = {
        link.operation: link
        for _, operation in documented
        for response in operation.responses.values()
        for link in response.links
    }
    return {name: _link(link) for name, link in links.items()}


def _link(link: Link) -> JsonObject:
    parameters: Mapping[str, str] = link.parameters
    return {
        "operationId": link.operation,
        "parameters": {**parameters},
        "description": link.description,
    }


def _request_body(body: RequestBody) -> JsonObject:
    examples: JsonObject = {
        name: {"summary": example.summary, "value": example.value} for name, example in body.examples.items()
    }
    content: JsonObject = {"schema": reference(body.schema), "examples": examples}
    return {
        "required": body.required,
        "description": body.description,
        "content": dict.fromkeys(body.media_types, content),
    }


def _parameter_components(operations: Iterable[Operation]) -> JsonObject:
    used = [_CORRELATION_ID, *(item for operation in operations for item in operation.parameters)]
    return {item.component: _parameter(item) for item in used}


def _parameter(parameter: Parameter) -> JsonObject:
    return {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.location == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _views(operations: Iterable[Operation]) -> list[type[msgspec.Struct]]:
    return list(
        dict.fromkeys(
            found.view
            for operation in operations
            for found in operation.responses.values()
            if isinstance(found, ViewResponse)
        )
    )
