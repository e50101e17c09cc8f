"""`POST /workflows/{execution_id}/nodes/{node_id}/decision`: a person approves or rejects."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.access.acting import explain
from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, BodyExample, Operation, RequestBody, ViewResponse
from flowengine.api.openapi.schemas import DECISION
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_STATUS, call_about
from flowengine.api.routes.executions.workflow_body import read_posted, refused
from flowengine.api.routes.history.list_lines import NODE_PARAMETER
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.execution.views.executions import DecidedView, DecisionView
from flowengine.workflow.posting.answers import read_decision

UNKNOWN_OUTCOME: Final = (
    "It may have been applied, or may still be. Sent again, it is answered with what was decided first."
)
DECIDED: Final = DecidedView(
    execution_id=example.ID,
    node="fetch_data",
    status="completed",
    run=1,
    attempt=1,
    decision=DecisionView(approved=True, comment="go", by="ada", at=example.moment(3)),
)
DECIDE_NODE: Final = Operation(
    summary="Approve or reject",
    description="Answers a node that asks for an approval. Approved, it completes with `{approved, comment, "
    "data, by, at}`; rejected, it fails with `rejected`, or completes too, where it says "
    "`on_reject: continue`. A decision counts once: another one is answered 409 (`already_decided`) with the "
    "first. `data` matches the node's `schema` where it is approved. `run` and `attempt`: refused unless "
    "these are the execution's run and the node's attempt. A node in a group is `group.node`; `item` is the "
    "key of the item of a map, `iteration` that of the nearest loop. `execution_id` in the answer names "
    "the child that holds it.",
    parameters=(EXECUTION_ID_PARAMETER, NODE_PARAMETER),
    body=RequestBody(
        description="What is decided, and why.",
        schema=DECISION,
        media_types=(*JSON_TYPES, YAML_TYPES[0]),
        examples={
            "approve": BodyExample("Approve", {"approved": True, "comment": "go", "data": {"limit": 50}})
        },
    ),
    responses={
        202: ViewResponse("Decided", DecidedView, {"decided": DECIDED}, links=(TO_STATUS,), has_location=True)
    },
    refusals=(
        "not_supported",
        "malformed_document",
        "execution_not_found",
        "node_not_found",
        "request_timeout",
        "wrong_state",
        "already_decided",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "payload_invalid",
        "result_invalid",
        "unknown_parameter",
    ),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions

    @post(
        "/workflows/{execution_id:str}/nodes/{node_id:str}/decision",
        opt={OPERATION: DECIDE_NODE, NEEDS_ROLE: "decide"},
    )
    async def decide_node(
        request: Request[Any, Any, Any], execution_id: FromPath[str], node_id: FromPath[str]
    ) -> Response[bytes]:
        posted, _ = await read_posted(request, backend, "invalid_body", read_decision)
        if posted is None:
            posted = read_decision(b"{}", "json", backend.limits)
            raise refused("invalid_body", posted.problems, malformed=False)
        answer = Answer(
            posted.approved,
            posted.comment,
            posted.data,
            posted.run,
            posted.attempt,
            posted.item,
            posted.iteration,
        )
        explain(node=node_id, reason=posted.comment)
        with outcome_unknown(UNKNOWN_OUTCOME):
            data = await call_about(
                request,
                execution_id,
                backend.calls.store,
                lambda: executions.decide(execution_id, node_id, answer),
            )
        return json_response(data, 202, {"Location": f"/workflows/{execution_id}"})

    return decide_node
