"""The execution id in a path: what can be one, how it is documented, and calls about that execution."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request

from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.openapi.operation import Link, Parameter
from flowengine.api.openapi.schemas import reference
from flowengine.api.routes.executions import example_execution as example
from flowengine.errors import ExecutionNotFoundError
from flowengine.observability.log_context import bound_contextvars

T = TypeVar("T")

EXECUTION_ID_PARAMETER: Final = Parameter(
    component="ExecutionId",
    name="execution_id",
    location="path",
    description="The id that POST /workflow answered.",
    schema=reference("ExecutionId"),
    example=example.ID,
)
_SAME_EXECUTION: Final = {"execution_id": "$response.body#/execution_id"}
TO_TRIGGER: Final = Link("trigger_execution", "Start it, or retry what failed", _SAME_EXECUTION)
TO_STATUS: Final = Link("show_execution", "Its status and that of every node", _SAME_EXECUTION)
TO_RESULTS: Final = Link("show_results", "Its outputs and errors", _SAME_EXECUTION)
_POSSIBLE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_id(request: Request[Any, Any, Any], execution_id: str) -> None:
    """Let the request's log line name the execution. Raises ExecutionNotFoundError for what cannot be one."""
    if not _POSSIBLE.fullmatch(execution_id):
        raise ExecutionNotFoundError("no execution can have this id; ids come from POST /workflow")
    request.scope["state"][EXECUTION_ID] = execution_id


async def call_about(
    request: Request[Any, Any, Any],
    execution_id: str,
    call: Callable[[Callable[[], bytes]], Awaitable[bytes]],
    work: Callable[[], msgspec.Struct],
) -> bytes:
    """The view that `work` makes, as JSON, made in a thread by `call`. Raises as `read_about`."""
    return await read_about(request, execution_id, call, lambda: msgspec.json.encode(work()))


async def read_about(
    request: Request[Any, Any, Any],
    execution_id: str,
    call: Callable[[Callable[[], T]], Awaitable[T]],
    work: Callable[[], T],
) -> T:
    """What `work` gives, made in a thread by `call`. Its log lines name the execution.

    Raises ExecutionNotFoundError, without a call, for what cannot be an id.
    """
    check_id(request, execution_id)
    with bound_contextvars(execution_id=execution_id):
        return await call(work)
