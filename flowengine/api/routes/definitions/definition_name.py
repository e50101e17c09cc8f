"""The name of a definition in a path, and its version in a query: how they are documented and read."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from flowengine.api.edge.query_parameters import query_number
from flowengine.api.openapi.operation import Link, Parameter
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.list_executions import MAX_VERSION
from flowengine.workflow.document import MAX_NAME_CHARS

NAME_PARAMETER: Final = Parameter(
    component="DefinitionName",
    name="name",
    location="path",
    description="The name of the definition, which is that of its document.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": "^[^/]+$"},
    example=example.NAME,
)
VERSION_PARAMETER: Final = Parameter(
    component="DefinitionVersion",
    name="version",
    location="query",
    description="This version; without it, the one in force.",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
)
_SAME_NAME: Final = {"name": "$response.body#/name"}
TO_DEFINITION: Final = Link("show_definition", "Its document, its picture and its inputs", _SAME_NAME)
TO_START: Final = Link("start_definition", "Start an execution of it", _SAME_NAME)


def version_of(request: Request[Any, Any, Any]) -> int | None:
    """The version that is asked for; None: the one in force. Raises RefusalError."""
    return query_number(request, VERSION_PARAMETER.name, most=MAX_VERSION)
