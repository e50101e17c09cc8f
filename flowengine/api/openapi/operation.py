"""What a route says of itself in the OpenAPI document: an Operation, which its handler carries. Pure data.

Path, method, operation id and the need for a key are the handler's own and not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue

JsonObject: TypeAlias = "dict[str, JsonValue]"

OPERATION: Final = "openapi_operation"
"""In the `opt` of a route: its Operation. A route without one is not documented."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """`component` is its name in the document.

    `example` stands for a path parameter where a response names its path. It is no default for requests:
    /docs would ask for what does not exist.
    """

    component: str
    name: str
    location: Literal["path", "query", "header"]
    description: str
    schema: JsonObject
    example: str | None = None


class BodyExample(msgspec.Struct, frozen=True):
    """A body that may be sent."""

    summary: str
    value: JsonValue


class RequestBody(msgspec.Struct, frozen=True, kw_only=True):
    """A body. `schema` names a component; `examples` are the same in every media type."""

    description: str
    schema: str
    media_types: tuple[str, ...]
    examples: Mapping[str, BodyExample]
    required: bool = True


class Link(msgspec.Struct, frozen=True):
    """What may be asked next. `parameters`: name -> the OpenAPI runtime expression that gives its value."""

    operation: str
    description: str
    parameters: Mapping[str, str]


class ViewResponse(msgspec.Struct, frozen=True):
    """A response that carries a view as JSON. `examples`: name -> what the API answers, word for word.

    `stream`: what comes in its place where a stream is asked for.
    """

    description: str
    view: type[msgspec.Struct]
    examples: Mapping[str, msgspec.Struct]
    links: tuple[Link, ...] = ()
    has_location: bool = False
    stream: TextResponse | None = None


class TextResponse(msgspec.Struct, frozen=True):
    """A response that carries text of another form than JSON."""

    description: str
    media_type: str
    example: str
    links: tuple[Link, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`responses`: by status. `refusals`: rows of the problem table, but not those of any route."""

    summary: str
    description: str
    responses: Mapping[int, ViewResponse | TextResponse]
    refusals: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: RequestBody | None = None
    tag: Literal["workflows", "definitions", "service", "access"] = "workflows"
