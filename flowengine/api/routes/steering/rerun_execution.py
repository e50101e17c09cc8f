"""`POST /workflows/{execution_id}/rerun`: runs an ended execution again, or tells what that would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, BodyExample, Operation, RequestBody, ViewResponse
from flowengine.api.openapi.schemas import RERUN
from flowengine.api.ports import Executions
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import (
    EXECUTION_ID_PARAMETER,
    TO_RESULTS,
    TO_STATUS,
    call_about,
    read_about,
)
from flowengine.api.routes.executions.workflow_body import read_posted
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import RerunPreviewView, RerunView
from flowengine.workflow.requests.rerun import PostedRerun, read_rerun

NEW_UNKNOWN_OUTCOME: Final = (
    "The new execution may have been made. GET /workflows?rerun_of={execution} lists those that there are."
)
UNKNOWN_OUTCOME: Final = (
    "The rerun may have begun, or may still. GET {path} tells: it has, once `run` is one more than before. "
    "Sending it again begins nothing twice: while the execution runs it is answered 409."
)
BEGUN: Final = RerunView(
    execution_id=example.ID,
    status="running",
    run=2,
    reset=("analyze_with_llm",),
    reused=("fetch_data",),
    skipped=(),
)
PREVIEWED: Final = RerunPreviewView(
    execution_id=example.ID,
    run=1,
    version=None,
    reset=("fetch_data", "analyze_with_llm"),
    reused=(),
    skipped=(),
    not_possible=(),
)
RERUN_BODY: Final = RequestBody(
    description="What begins again. Without a body: what has failed or was cancelled, and what is below it.",
    schema=RERUN,
    media_types=(*JSON_TYPES, YAML_TYPES[0]),
    examples={
        "from": BodyExample("From a node, and all below it", {"mode": "from", "from": ["analyze_with_llm"]}),
        "skip": BodyExample(
            "What has failed, without one node", {"mode": "failed", "skip": ["analyze_with_llm"]}
        ),
        "preview": BodyExample("What a rerun of everything would do", {"mode": "all", "preview": True}),
        "items": BodyExample("Two items of a map, and what is below it", {"items": {"each": ["a", "b"]}}),
        "inputs": BodyExample("With another input", {"inputs": {"day": "2026-03-02"}}),
        "new": BodyExample(
            "As a new execution by the version in force", {"as": "new", "version": "latest", "mode": "all"}
        ),
        "expect": BodyExample("Only if nobody was faster", {"mode": "all", "expect": {"run": 1}}),
    },
    required=False,
)
RERUN_EXECUTION: Final = Operation(
    summary="Run an ended execution again",
    description="Begins the next run of an execution that has ended. `mode` says what begins again: "
    "`failed`, what has failed or was cancelled; `from`, the nodes that are named in `from`; `all`, "
    "everything; always with all that is below, then the outputs and the hooks. `items` names items of "
    "maps by their keys: exactly these run again, the map's others stay. Nodes in `skip` are skipped in this "
    "run. `inputs` get other values, and each node that reads "
    "them begins again. The other nodes keep their results. `preview` answers (200) what that would do, and "
    "changes nothing. With `expect` the rerun is refused (409 `overtaken`) if the execution is not in this "
    "run any more. Of two reruns at once exactly one begins. With `as: new` the execution stays as it is, "
    "whatever it does: a new one copies the results that it reuses, and begins, with run 2, once it has. It "
    "may be of another `version` of the definition: then a result is reused if the definitions of its node "
    "and of all above it are the same.",
    parameters=(EXECUTION_ID_PARAMETER,),
    body=RERUN_BODY,
    responses={
        200: ViewResponse("What it would do", RerunPreviewView, {"previewed": PREVIEWED}),
        202: ViewResponse(
            "Begun", RerunView, {"begun": BEGUN}, links=(TO_STATUS, TO_RESULTS), has_location=True
        ),
    },
    refusals=(
        "not_supported",
        "malformed_document",
        "execution_not_found",
        "definition_not_found",
        "request_timeout",
        "wrong_state",
        "overtaken",
        "rerun_not_possible",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "inputs_invalid",
        "vars_invalid",
        "unknown_parameter",
        "too_many_executions",
        "concurrency_limit",
    ),
)


def preview_of(
    executions: Executions, execution_id: str, asked: RerunAsked, posted: PostedRerun
) -> Callable[[], RerunPreviewView]:
    """What tells what such a rerun would do."""
    if posted.as_new:
        return lambda: executions.preview_fork(execution_id, asked, posted.by_version)
    return lambda: executions.preview_rerun(execution_id, asked)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    executions = backend.executions

    @post("/workflows/{execution_id:str}/rerun", opt={OPERATION: RERUN_EXECUTION, NEEDS_ROLE: "operate"})
    async def rerun_execution(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        read, _ = await read_posted(request, backend, "invalid_body", read_rerun)
        posted = read or PostedRerun()
        asked = RerunAsked(
            Wanted(posted.mode, posted.start_from, posted.skip, items=posted.items),
            posted.run,
            posted.inputs,
            version=posted.version,
        )
        store = backend.calls.store
        if posted.preview:
            look = preview_of(executions, execution_id, asked, posted)
            return json_response(await call_about(request, execution_id, store, look))
        if posted.as_new:
            with outcome_unknown(NEW_UNKNOWN_OUTCOME.format(execution=execution_id)):
                made = await read_about(
                    request,
                    execution_id,
                    store,
                    lambda: executions.fork(execution_id, asked, posted.by_version),
                )
            return json_response(
                msgspec.json.encode(made), 202, {"Location": f"/workflows/{made.execution_id}"}
            )
        path = f"/workflows/{execution_id}"
        with outcome_unknown(UNKNOWN_OUTCOME.format(path=path)):
            data = await call_about(
                request, execution_id, store, lambda: executions.rerun(execution_id, asked)
            )
        return json_response(data, 202, {"Location": path})

    return rerun_execution
