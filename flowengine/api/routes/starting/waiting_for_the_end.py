"""The query parameter `wait`: the answer to a start is held until its execution has ended, or for so long.

Who waits is told by the process's common reader, as those are who watch: no request asks Redis by itself. A
caller who leaves ends its wait. If something else hinders it, the caller gets the usual answer: the start is
made.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response

from flowengine.api.access.key_guard import is_still_let_in
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import query_number
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import show_results
from flowengine.api.routes.executions.execution_id import TO_STATUS
from flowengine.api.watching.event_stream import CHECKED_EACH_S
from flowengine.api.watching.live_reader import Watcher
from flowengine.engine.ports import Cursor
from flowengine.errors import FlowEngineError
from flowengine.execution.history.places import NOW
from flowengine.execution.status import is_over
from flowengine.execution.views.executions import ResultsView

LONGEST_S: Final = 60
WAIT_PARAMETER: Final = Parameter(
    component="Wait",
    name="wait",
    location="query",
    description="Holds the answer until the execution has ended, for so many seconds at most: 200 with its "
    "results then, else the usual answer.",
    schema={"type": "integer", "minimum": 1, "maximum": LONGEST_S},
)
ENDED: Final = ViewResponse(
    "With `wait`: it has ended, and these are its results",
    ResultsView,
    {"completed": show_results.COMPLETED, "failed": show_results.FAILED},
    links=(TO_STATUS,),
    has_location=True,
)

log = structlog.stdlib.get_logger()


def seconds_to_wait(request: Request[Any, Any, Any]) -> int | None:
    """How long the caller waits for the end; None where it does not. Raises RefusalError."""
    return query_number(request, WAIT_PARAMETER.name, most=LONGEST_S)


def refuse_wait() -> RefusalError:
    """The refusal of a wait for what does not start."""
    return RefusalError(
        "invalid_parameter",
        "The query parameter 'wait' waits for the end of an execution, and this one does not start: send "
        "'trigger=true' as well.",
    )


async def held(
    request: Request[Any, Any, Any],
    backend: Backend,
    execution: str,
    answer: Response[bytes],
    seconds: int | None,
) -> Response[bytes]:
    """The answer to a start, or the results if the execution ends in time.

    Raises RefusalError when the caller has gone away.
    """
    if seconds is None:
        return answer
    try:
        if await _ends_in_time(request, backend, execution, seconds):
            results = await backend.calls.results(lambda: _results(backend, execution))
            # A refusal would say that nothing was started.
            if results is not None and backend.response_budget.has_room(len(results)):
                return json_response(results, 200, dict(answer.headers))
    except FlowEngineError as error:
        if isinstance(error, RefusalError):
            raise
        log.warning("wait.not_possible", error=str(error))
    return answer


def _results(backend: Backend, execution: str) -> bytes | None:
    view = backend.executions.results(execution)
    return msgspec.json.encode(view) if is_over(view.status) else None


async def _ends_in_time(
    request: Request[Any, Any, Any], backend: Backend, execution: str, seconds: int
) -> bool:
    """Whether it has, probably, ended. It is not waited for where too many wait or watch already."""
    ending = asyncio.create_task(_end(request, backend, execution))
    leaving = asyncio.create_task(_leave(request))
    try:
        await asyncio.wait((ending, leaving), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            return ending.result()
        if leaving.done():
            raise RefusalError("bad_request", "The caller went away before the execution had ended.")
        return False
    finally:
        for task in (ending, leaving):
            task.cancel()
        await asyncio.gather(ending, leaving, return_exceptions=True)


async def _end(request: Request[Any, Any, Any], backend: Backend, execution: str) -> bool:
    """Returns when the execution has ended, or nobody would tell: False where the caller may not be told."""
    if backend.live.is_full:
        return False
    cursor = Cursor(execution, NOW)
    (first,) = await backend.calls.store(lambda: backend.executions.look([cursor]))
    told = backend.live.messages(Watcher(execution, first.after, lines=False), first, CHECKED_EACH_S)
    clock = asyncio.get_running_loop().time
    checked = clock()
    async with contextlib.aclosing(told) as messages:
        async for _ in messages:
            if clock() - checked >= CHECKED_EACH_S:
                checked = clock()
                if not await is_still_let_in(backend.keys, backend.sessions, request, request.route_handler):
                    return False
    return True


async def _leave(request: Request[Any, Any, Any]) -> None:
    """Returns when the caller has gone away. The body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
