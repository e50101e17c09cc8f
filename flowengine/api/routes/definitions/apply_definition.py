"""`PUT /definitions/{name}`: lets a workflow document be in force under its name. `DELETE` takes it away."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, delete, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.access.scope import covers
from flowengine.api.access.key_guard import NEEDS_ROLE, Caller, caller_of, not_for
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES, Body, read_document
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import (
    OPERATION,
    BodyExample,
    Operation,
    RequestBody,
    ViewResponse,
)
from flowengine.api.openapi.schemas import WORKFLOW
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.definition_name import NAME_PARAMETER, TO_DEFINITION, TO_START
from flowengine.api.routes.definitions.unknown_definitions import unknown_definitions
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.workflow_body import refused
from flowengine.engine.definitions.definitions import Applied, NewVersion
from flowengine.execution.definitions.views import AppliedView, DeletedDefinitionView
from flowengine.workflow.children.call_reading import NamedDefinition
from flowengine.workflow.definitions.applied_document import check_applied
from flowengine.workflow.problems import quoted

UNKNOWN_OUTCOME: Final = "The document may have been applied, or may still be. Send it again: the same "
"document is the same version."
UNKNOWN_DELETION: Final = "The definition may be deleted, or may still be. GET /definitions tells."
APPLIED: Final = AppliedView(
    name=example.NAME, version=2, previous=1, applied_at=example.moment(0), warnings=msgspec.UNSET
)
APPLY_DEFINITION: Final = Operation(
    summary="Apply a document under its name",
    description="Each different document is a version: 1, 2, and so on. What says the same is the same "
    "version, in YAML or JSON, whatever its comments. The version that was applied last is in force: it is "
    "what starts without a `version`. Executions stay with the version that they were started from. The "
    "name is that of the document.",
    parameters=(NAME_PARAMETER,),
    body=RequestBody(
        description="The workflow document, as JSON or YAML.",
        schema=WORKFLOW,
        media_types=(*JSON_TYPES, YAML_TYPES[0]),
        examples={"workflow": BodyExample("Calls an HTTP service and a model", example.WORKFLOW)},
    ),
    responses={
        200: ViewResponse(
            "The same as a version that there was: that is in force",
            AppliedView,
            {"same": APPLIED},
            links=(TO_DEFINITION, TO_START),
        ),
        201: ViewResponse(
            "A new version is in force",
            AppliedView,
            {"new": APPLIED},
            links=(TO_DEFINITION, TO_START),
        ),
    },
    refusals=(
        "malformed_document",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_workflow",
        "unknown_parameter",
    ),
    tag="definitions",
)
DELETE_DEFINITION: Final = Operation(
    summary="Delete a definition",
    description="With all its versions. Its executions stay, and what runs goes on. If it is applied again, "
    "its versions have new numbers.",
    parameters=(NAME_PARAMETER,),
    responses={
        200: ViewResponse(
            "Deleted",
            DeletedDefinitionView,
            {"deleted": DeletedDefinitionView(name=example.NAME, version=2)},
        )
    },
    refusals=("definition_not_found", "unknown_parameter"),
    tag="definitions",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The apply, over this backend."""

    @put("/definitions/{name:str}", opt={OPERATION: APPLY_DEFINITION, NEEDS_ROLE: "admin"})
    async def apply_definition(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        with backend.request_budget.share() as share:
            body = await read_document(request, backend.limits, share)
            new = await backend.calls.check(lambda: checked(body, name, backend))
            _check_followed(new.version, caller_of(request))
            with outcome_unknown(UNKNOWN_OUTCOME):
                applied = await backend.calls.store(lambda: _apply(new, backend))
        return json_response(msgspec.json.encode(applied.view), 201 if applied.is_new else 200)

    return apply_definition


def delete_route(backend: Backend) -> HTTPRouteHandler:
    """The deletion, over this backend."""

    @delete(
        "/definitions/{name:str}", opt={OPERATION: DELETE_DEFINITION, NEEDS_ROLE: "admin"}, status_code=200
    )
    async def delete_definition(name: FromPath[str]) -> Response[bytes]:
        with outcome_unknown(UNKNOWN_DELETION):
            view = await backend.calls.store(lambda: backend.executions.definitions.delete(name))
        return json_response(msgspec.json.encode(view))

    return delete_definition


def _check_followed(version: NewVersion, caller: Caller) -> None:
    """Who follows another definition is given what its executions end with. Raises RefusalError."""
    for after in version.after if caller.definitions else ():
        if not covers(caller.definitions, after.workflow):
            raise not_for(caller, f"what follows the definition {quoted(after.workflow)}")


def _apply(new: NewToApply, backend: Backend) -> Applied:
    definitions, version = backend.executions.definitions, new.version
    unknown = unknown_definitions(definitions, new.calls, known=(version.plan.name,))
    return definitions.apply(msgspec.structs.replace(version, warnings=(*version.warnings, *unknown)))


class NewToApply(msgspec.Struct, frozen=True):
    """What is applied, and the definitions that its nodes name."""

    version: NewVersion
    calls: tuple[NamedDefinition, ...]


def checked(body: Body, name: str, backend: Backend) -> NewToApply:
    """What is applied. Raises RefusalError with every problem of the document."""
    found = backend.checked.check(body.data, body.form)
    if found.name != name:
        found = check_applied(body.data, body.form, backend.registry, backend.limits, name=name)
    checked = found.checked
    if checked.plan is None or checked.problems or found.document is None:
        raise refused("invalid_workflow", checked.problems, malformed=checked.malformed)
    version = NewVersion(
        plan=checked.plan,
        document=found.document,
        value=found.value,
        description=found.description,
        labels=checked.labels,
        schedules=checked.schedules,
        after=checked.after,
        runs=tuple(dict.fromkeys(each.name for each in checked.calls if not each.follows)),
        warnings=checked.warnings,
    )
    return NewToApply(version, checked.calls)
