"""`POST /workflows/{execution_id}/nodes/{node_id}/skip`, `/complete` and `/fail`: an operator ends a node."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, assert_never

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.access.acting import explain
from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    JsonObject,
    Operation,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import COMPLETE, FAIL, SKIP
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.api.routes.executions.workflow_body import read_posted, refused
from flowengine.api.routes.history.list_lines import NODE_PARAMETER
from flowengine.execution.rules.steering.overruling import STATUS_OF, Complete, Fail, Overruling, Skip, Word
from flowengine.execution.views.executions import OverruledView
from flowengine.workflow.posting.posted import PostedOverruling, Said, read_overruling

UNKNOWN_OUTCOME: Final = (
    "It may have been applied, or may still be. GET {path} tells. Sent again, it is refused if it has been."
)
WORDS: Final[dict[Said, type[Word]]] = {"skip": Skip, "complete": Complete, "fail": Fail}
_SCHEMAS: Final[dict[Said, str]] = {"skip": SKIP, "complete": COMPLETE, "fail": FAIL}
_EXAMPLES: Final[dict[Said, JsonObject]] = {
    "skip": {"reason": "the service is gone for good"},
    "complete": {"result": {"data": []}, "reason": "loaded by hand", "run": 1, "attempt": 2},
    "fail": {"code": "gone", "message": "the service is gone for good"},
}
_WHAT: Final[dict[Said, tuple[str, str]]] = {
    "skip": ("Skip a node", "It is `skipped`, for the reason `operator`."),
    "complete": (
        "Complete a node with a result",
        "It is `completed`, and its output is `result`: what its handler would give, as `/results` shows it "
        "and templates read it. Where it says `output_schema`, the result must match that. Of an `end` it is "
        "the execution's outputs: an object or null.",
    ),
    "fail": (
        "Fail a node",
        "It is `failed` with this code, for good: `retry` is not asked. Its `on_error` is.",
    ),
}
_ABOUT: Final = (
    "Ends a node that is pending, waits for another try, is queued or runs, in an execution that runs or is "
    "paused. In an execution that has ended, another run begins with that, and what is below the node begins "
    "again: `run` in the answer is that run. What follows is what would follow if it had ended so by itself: "
    "where something that it depends on has not ended, what depends on it waits for that. A handler that "
    "runs is told to stop, and what it reports does not count. `run` and `attempt`: refused unless these are "
    "the execution's run and the node's attempt. Who did it, and why, is in the events and in the audit."
)


def _operation(said: Said) -> Operation:
    summary, what = _WHAT[said]
    answer = OverruledView(
        execution_id=example.ID, node="fetch_data", status=STATUS_OF[WORDS[said]], run=1, attempt=2
    )
    return Operation(
        summary=summary,
        description=f"{what} {_ABOUT}",
        parameters=(EXECUTION_ID_PARAMETER, NODE_PARAMETER),
        body=RequestBody(
            description="What is said of the node, and why.",
            schema=_SCHEMAS[said],
            media_types=(*JSON_TYPES, YAML_TYPES[0]),
            examples={said: BodyExample(summary, _EXAMPLES[said])},
            required=said == "complete",
        ),
        responses={
            202: ViewResponse(
                "Done", OverruledView, {answer.status: answer}, links=(TO_STATUS,), has_location=True
            )
        },
        refusals=(
            "not_supported",
            "malformed_document",
            "execution_not_found",
            "node_not_found",
            "request_timeout",
            "wrong_state",
            "body_too_large",
            "unsupported_media_type",
            "invalid_body",
            *(("result_invalid",) if said == "complete" else ()),
            "unknown_parameter",
            "too_many_executions",
            "concurrency_limit",
        ),
    )


SKIP_NODE: Final = _operation("skip")
COMPLETE_NODE: Final = _operation("complete")
FAIL_NODE: Final = _operation("fail")
_PATH: Final = "/workflows/{execution_id:str}/nodes/{node_id:str}"


def skip_route(backend: Backend) -> HTTPRouteHandler:
    """The route that skips a node, over this backend."""

    @post(f"{_PATH}/skip", opt={OPERATION: SKIP_NODE, NEEDS_ROLE: "operate"})
    async def skip_node(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        return await _answer(backend, request, execution_id, node_id, "skip")

    return skip_node


def complete_route(backend: Backend) -> HTTPRouteHandler:
    """The route that completes a node, over this backend."""

    @post(f"{_PATH}/complete", opt={OPERATION: COMPLETE_NODE, NEEDS_ROLE: "operate"})
    async def complete_node(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        return await _answer(backend, request, execution_id, node_id, "complete")

    return complete_node


def fail_route(backend: Backend) -> HTTPRouteHandler:
    """The route that fails a node, over this backend."""

    @post(f"{_PATH}/fail", opt={OPERATION: FAIL_NODE, NEEDS_ROLE: "operate"})
    async def fail_node(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        return await _answer(backend, request, execution_id, node_id, "fail")

    return fail_node


async def _answer(
    backend: Backend, request: Request[Any, Any, Any], execution_id: str, node: str, said: Said
) -> Response[bytes]:
    posted, _ = await read_posted(request, backend, "invalid_body", partial(read_overruling, said))
    if posted is None:
        posted = read_overruling(said, b"{}", "json", backend.limits)
        if posted.problems:
            raise refused("invalid_body", posted.problems, malformed=False)
    overruling = Overruling(_word(said, posted), posted.reason, posted.run, posted.attempt)
    explain(node=node, reason=posted.reason)
    path = f"/workflows/{execution_id}"
    with outcome_unknown(UNKNOWN_OUTCOME.format(path=path)):
        data = await call_about(
            request,
            execution_id,
            backend.calls.store,
            lambda: backend.executions.overrule(execution_id, node, overruling),
        )
    return json_response(data, 202, {"Location": path})


def _word(said: Said, posted: PostedOverruling) -> Word:
    match said:
        case "skip":
            return Skip()
        case "complete":
            return Complete(msgspec.Raw(posted.result or b"null"))
        case "fail":
            given = {"code": posted.code, "message": posted.message}
            return Fail(**{name: value for name, value in given.items() if value})
        case _ as never:
            assert_never(never)
