"""`POST /validate`: says of a workflow document what `POST /workflow` would, and stores nothing."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NARROWS, NEEDS_ROLE, caller_of
from flowengine.api.edge.request_bodies import Body, read_document
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.unknown_definitions import unknown_definitions
from flowengine.api.routes.executions.show_graph import DRAWN
from flowengine.api.routes.executions.workflow_body import WORKFLOW_BODY
from flowengine.errors import StoreUnavailableError
from flowengine.execution.views.validation import NodePlaceView, ValidationView
from flowengine.jsonvalue import encode
from flowengine.settings import Limits
from flowengine.workflow.children.call_reading import NamedDefinition
from flowengine.workflow.inputs.input_schema import input_schema
from flowengine.workflow.inputs.values import InputsInvalidError, check_given
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.posted import Source, check_posted
from flowengine.workflow.posting.sketch import sketch
from flowengine.workflow.problems import Problem

VALID: Final = ValidationView(
    valid=True,
    problems=(),
    warnings=(),
    input_schema={"type": msgspec.Raw(b'"object"')},
    graph=DRAWN,
    nodes=(
        NodePlaceView(id="fetch_data", pointer="/nodes/0", line=1, column=65),
        NodePlaceView(id="analyze_with_llm", pointer="/nodes/1", line=1, column=172),
    ),
)
INVALID: Final = ValidationView(
    valid=False,
    problems=(
        Problem(
            code="unknown_handler",
            pointer="/nodes/1/handler",
            message="no handler called 'llm_servce'; did you mean 'llm_service'? See: flowengine handlers",
            line=7,
            column=14,
        ),
    ),
    warnings=(),
)
VALIDATE_WORKFLOW: Final = Operation(
    summary="Check a workflow",
    description="Says whether POST /workflow would take this body, with all its problems and their places. "
    "Stores nothing. A body that is no well-formed JSON or YAML has problems too, and is no error here. It "
    "tells the JSON Schema of the inputs, a picture, and where the nodes stand, of a wrong one too as far as "
    "they can be read. A workflow that is a text in an envelope has its lines counted in that text.",
    body=WORKFLOW_BODY,
    responses={200: ViewResponse("What was found", ValidationView, {"valid": VALID, "invalid": INVALID})},
    refusals=("request_timeout", "body_too_large", "unsupported_media_type", "unknown_parameter"),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @post("/validate", opt={OPERATION: VALIDATE_WORKFLOW, NEEDS_ROLE: "read", NARROWS: True})
    async def validate_workflow(request: Request[Any, Any, Any]) -> Response[bytes]:
        with backend.request_budget.share() as share:
            body = await read_document(request, backend.limits, share)
            view, calls = await backend.calls.check(lambda: _found(body, backend))
            if calls:
                patterns = caller_of(request).definitions
                unknown = await backend.calls.store(lambda: _unknown(backend, calls, patterns))
                view = msgspec.structs.replace(view, warnings=(*view.warnings, *unknown))
            data = await backend.calls.check(lambda: msgspec.json.encode(view))
        return json_response(data)

    return validate_workflow


def _unknown(
    backend: Backend, calls: tuple[NamedDefinition, ...], patterns: tuple[str, ...]
) -> tuple[Problem, ...]:
    """The warnings about definitions that are not there; none where the store cannot be asked."""
    try:
        return unknown_definitions(backend.executions.definitions, calls, patterns=patterns)
    except StoreUnavailableError:
        return ()


def _found(body: Body, backend: Backend) -> tuple[ValidationView, tuple[NamedDefinition, ...]]:
    posted = check_posted(body.data, body.form, backend.registry, backend.limits)
    checked, plan = posted.checked, posted.checked.plan
    problems = checked.problems
    if plan is not None and not problems:
        try:
            check_given(plan.inputs, posted.inputs)
        except InputsInvalidError as error:
            problems = error.problems
    view = ValidationView(valid=not problems, problems=problems, warnings=checked.warnings)
    if posted.source is not None:
        view = _sketched(view, posted.source, plan, backend.limits)
    return view, checked.calls


def _sketched(view: ValidationView, source: Source, plan: Plan | None, limits: Limits) -> ValidationView:
    """With what can be drawn, of a wrong document too."""
    from flowengine.layout.plan_drawing import draw

    found = sketch(source.value, limits)
    places = source.text.positions.locate(
        source.text.value, {source.pointer + node.pointer for node in found.nodes}
    )
    schema = input_schema(found.inputs).items() if found.has_inputs else None
    drawn = plan or found.plan
    return msgspec.structs.replace(
        view,
        input_schema=schema and {name: msgspec.Raw(encode(part)) for name, part in schema},
        graph=None if drawn is None else draw(drawn),
        nodes=tuple(
            NodePlaceView(id=node.id, pointer=node.pointer, line=line, column=column)
            for node in found.nodes
            for line, column in [places[source.pointer + node.pointer]]
        ),
    )
