"""The workflow document as the body of a request: read, checked, compiled; and how it is documented."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request

from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES, Body, read_document
from flowengine.api.openapi.operation import BodyExample, JsonObject, RequestBody
from flowengine.api.openapi.schemas import WORKFLOW
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.workflow import check
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem

ARITHMETIC: Final[JsonObject] = {
    "name": "Add and shout",
    "nodes": [
        {"id": "sum", "handler": "compute", "config": {"operation": "add", "a": 40, "b": 2}},
        {
            "id": "shout",
            "handler": "transform",
            "config": {"input": "the sum is {{ sum.result }}", "transform_type": "uppercase"},
            "dependencies": ["sum"],
        },
    ],
}
WORKFLOW_BODY: Final = RequestBody(
    description="The workflow document, as JSON or YAML. Other names of YAML are taken too: "
    f"{', '.join(YAML_TYPES[1:])}.",
    schema=WORKFLOW,
    media_types=(*JSON_TYPES, YAML_TYPES[0]),
    examples={
        "arithmetic": BodyExample("Runs anywhere", ARITHMETIC),
        "http_and_llm": BodyExample("Calls an HTTP service and a model", example.WORKFLOW),
    },
)


class Accepted(msgspec.Struct, frozen=True):
    """A workflow that is right, and what may go wrong with it."""

    plan: Plan
    warnings: tuple[Problem, ...]


async def read_workflow(request: Request[Any, Any, Any], backend: Backend) -> Accepted:
    """The workflow in the request's body.

    Raises RefusalError as `read_document`, and with every problem of the document.
    """
    with backend.request_budget.share() as share:
        body = await read_document(request, backend.limits, share)
        return await backend.calls.check(lambda: _accepted(body, backend))


def _accepted(body: Body, backend: Backend) -> Accepted:
    checked = check(body.data, body.form, backend.registry, backend.limits)
    if checked.plan is not None and not checked.problems:
        return Accepted(checked.plan, checked.warnings)
    if checked.malformed:
        raise RefusalError("malformed_document", _first(checked.problems), problems=checked.problems)
    count = len(checked.problems)
    detail = f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: "
    raise RefusalError("invalid_workflow", detail + _first(checked.problems), problems=checked.problems)


def _first(problems: tuple[Problem, ...]) -> str:
    problem = problems[0]
    place = f"line {problem.line}, column {problem.column}: " if problem.line is not None else ""
    return f"{place}{problem.message}"
