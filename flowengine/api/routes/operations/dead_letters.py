"""`/dead-letters`: messages that were set aside, listed, retried and deleted."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.paging import CURSOR, LIMIT, limit_of
from flowengine.api.edge.query_parameters import query_text
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.views.operations import (
    DeadLettersView,
    DeadLetterView,
    DeletedLetterView,
    RetriedLetterView,
)

LETTER: Final = "worker:1764385584000-0"
UNKNOWN_OUTCOME: Final = (
    "The letter may be gone, and what it asks for may have been done, or may still be. GET /dead-letters "
    "tells. Sending this again does no harm."
)
LETTER_ID_PARAMETER: Final = Parameter(
    component="DeadLetterId",
    name="letter_id",
    location="path",
    description="The `id` that GET /dead-letters shows.",
    schema={"type": "string", "minLength": 1, "maxLength": 200},
    example=LETTER,
)
GIVEN_UP: Final = DeadLetterView(
    id=LETTER,
    queue="worker",
    reason="exhausted",
    deliveries=3,
    buried_at="2025-11-29T03:06:24.000Z",
    actor="run_node",
    execution_id=example.ID,
    run=1,
    node="analyze_with_llm",
    handler="llm_service",
    retry="trigger",
)
UNREADABLE: Final = DeadLetterView(
    id="worker:1764385580000-0",
    queue="worker",
    reason="undecodable",
    deliveries=1,
    buried_at="2025-11-29T03:06:20.000Z",
    retry="send",
)
LIST_DEAD_LETTERS: Final = Operation(
    summary="List the dead letters",
    description="Messages that were set aside because they killed each process that took them, or because "
    "nobody can read them. The newest first, of all queues; each queue keeps the newest 1000. A page that "
    "would be large is shorter than `limit`.",
    parameters=(LIMIT, CURSOR),
    responses={
        200: ViewResponse(
            "A page of dead letters",
            DeadLettersView,
            {"letters": DeadLettersView(items=(GIVEN_UP, UNREADABLE), next_cursor=None)},
        )
    },
    refusals=("unknown_parameter", "invalid_parameter"),
    tag="service",
)
RETRY_DEAD_LETTER: Final = Operation(
    summary="Retry a dead letter",
    description="A task that was given up has failed its node: its execution is triggered again, which must "
    "have failed or been cancelled. If it was triggered again since, nothing is done (`overtaken`). Any "
    "other message moves back to its queue. The letter goes in the same transaction.",
    parameters=(LETTER_ID_PARAMETER,),
    responses={
        202: ViewResponse(
            "Done, and the letter is gone",
            RetriedLetterView,
            {
                "triggered": RetriedLetterView(id=LETTER, done="triggered", execution_id=example.ID, run=2),
                "sent": RetriedLetterView(id="worker:1764385580000-0", done="sent"),
                "overtaken": RetriedLetterView(id=LETTER, done="overtaken", execution_id=example.ID),
            },
        )
    },
    refusals=(
        "not_supported",
        "dead_letter_not_found",
        "execution_not_found",
        "wrong_state",
        "already_triggered",
        "unknown_parameter",
        "too_many_executions",
        "concurrency_limit",
    ),
    tag="service",
)
DELETE_DEAD_LETTER: Final = Operation(
    summary="Delete a dead letter",
    description="Removes the letter. Nothing else changes: a node that has failed with it stays failed.",
    parameters=(LETTER_ID_PARAMETER,),
    responses={200: ViewResponse("Deleted", DeletedLetterView, {"deleted": DeletedLetterView(id=LETTER)})},
    refusals=("not_supported", "dead_letter_not_found", "unknown_parameter"),
    tag="service",
)


def list_route(backend: Backend) -> HTTPRouteHandler:
    """The list, over this backend."""
    operations = backend.executions.operations

    @get("/dead-letters", opt={OPERATION: LIST_DEAD_LETTERS, NEEDS_ROLE: "admin"})
    async def list_dead_letters(request: Request[Any, Any, Any]) -> Response[bytes]:
        limit, cursor = limit_of(request), query_text(request, "cursor")
        view = await backend.calls.results(lambda: operations.dead_letters(limit, cursor))
        return json_response(msgspec.json.encode(view))

    return list_dead_letters


def retry_route(backend: Backend) -> HTTPRouteHandler:
    """The retry, over this backend."""
    operations = backend.executions.operations

    @post("/dead-letters/{letter_id:str}/retry", opt={OPERATION: RETRY_DEAD_LETTER, NEEDS_ROLE: "admin"})
    async def retry_dead_letter(letter_id: FromPath[str]) -> Response[bytes]:
        with outcome_unknown(UNKNOWN_OUTCOME):
            view = await backend.calls.store(lambda: operations.retry_dead_letter(letter_id))
        return json_response(msgspec.json.encode(view), 202)

    return retry_dead_letter


def delete_route(backend: Backend) -> HTTPRouteHandler:
    """The deletion, over this backend."""
    operations = backend.executions.operations

    @delete(
        "/dead-letters/{letter_id:str}",
        opt={OPERATION: DELETE_DEAD_LETTER, NEEDS_ROLE: "admin"},
        status_code=200,
    )
    async def delete_dead_letter(letter_id: FromPath[str]) -> Response[bytes]:
        with outcome_unknown(UNKNOWN_OUTCOME):
            view = await backend.calls.store(lambda: operations.delete_dead_letter(letter_id))
        return json_response(msgspec.json.encode(view))

    return delete_dead_letter
