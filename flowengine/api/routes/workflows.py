"""The API's routes: each reads a request, asks the store, and writes a view. No rule lives here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.edge.blocking_calls import Calls
from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.request_bodies import Body, read_document, request_budget
from flowengine.api.ports import Executions
from flowengine.errors import ExecutionNotFoundError, StoreUnavailableError
from flowengine.execution.views import HealthView
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.workflow import check
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem

JSON: Final = "application/json"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_encoder = msgspec.json.Encoder()


def execution_routes(
    executions: Executions, catalog: Registry, limits: Limits, calls: Calls
) -> list[HTTPRouteHandler]:
    """The routes that concern executions, and `/health`."""
    budget = request_budget(limits)

    @post("/workflow", status_code=201)
    async def create_execution(request: Request[Any, Any, Any]) -> Response[bytes]:
        with budget.share() as share:
            body = await read_document(request, limits, share)
            plan = await calls.check(lambda: _plan_of(body, catalog, limits))
        correlation_id = correlation_id_of(request.scope)
        view = await calls.store(lambda: executions.create(plan, correlation_id=correlation_id))
        request.scope["state"][EXECUTION_ID] = view.execution_id
        return _json(_encoder.encode(view), 201, {"Location": f"/workflows/{view.execution_id}"})

    @post("/workflow/trigger/{execution_id:str}", status_code=202)
    async def trigger_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        correlation_id = correlation_id_of(request.scope)
        data = await _about(
            request,
            execution_id,
            calls.store,
            lambda: _encoder.encode(executions.trigger(execution_id, correlation_id=correlation_id)),
        )
        return _json(data, 202, {"Location": f"/workflows/{execution_id}"})

    @get("/workflows/{execution_id:str}")
    async def show_execution(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        data = await _about(
            request, execution_id, calls.store, lambda: _encoder.encode(executions.status(execution_id))
        )
        return _json(data)

    @get("/workflows/{execution_id:str}/results")
    async def show_results(request: Request[Any, Any, Any], execution_id: FromPath[str]) -> Response[bytes]:
        data = await _about(
            request, execution_id, calls.results, lambda: _encoder.encode(executions.results(execution_id))
        )
        return _json(data)

    @get("/health", opt={NEEDS_NO_KEY: True})
    async def show_health() -> Response[bytes]:
        view = await _health(executions, calls)
        return _json(_encoder.encode(view), 503 if view.status == "down" else 200)

    return [create_execution, trigger_execution, show_execution, show_results, show_health]


def _plan_of(body: Body, catalog: Registry, limits: Limits) -> Plan:
    """The compiled plan. Raises RefusalError with every problem of the document."""
    checked = check(body.data, body.form, catalog, limits)
    if checked.plan is not None and not checked.problems:
        return checked.plan
    if checked.malformed:
        raise RefusalError("malformed_document", _first(checked.problems), problems=checked.problems)
    count = len(checked.problems)
    detail = f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: "
    raise RefusalError("invalid_workflow", detail + _first(checked.problems), problems=checked.problems)


def _first(problems: tuple[Problem, ...]) -> str:
    problem = problems[0]
    place = f"line {problem.line}, column {problem.column}: " if problem.line is not None else ""
    return f"{place}{problem.message}"


async def _about(
    request: Request[Any, Any, Any],
    execution_id: str,
    call: Callable[[Callable[[], bytes]], Awaitable[bytes]],
    work: Callable[[], bytes],
) -> bytes:
    """Call the store about one execution; log lines of the call name it."""
    if not _ID.fullmatch(execution_id):
        raise ExecutionNotFoundError("no execution can have this id; ids come from POST /workflow")
    request.scope["state"][EXECUTION_ID] = execution_id
    with structlog.contextvars.bound_contextvars(execution_id=execution_id):
        return await call(work)


async def _health(executions: Executions, calls: Calls) -> HealthView:
    try:
        return await calls.store(executions.health)
    except StoreUnavailableError as error:
        return HealthView(status="down", checks={"redis": str(error)})


def _json(data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(data, status_code=status, headers=headers, media_type=JSON)
