"""The OpenAPI 3.1 document of the API, made of the views' own types, the problem table and the examples.

Decides what is documented, not what is done: a test compares it with the app's routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.api.edge.correlation_id import HEADER
from flowengine.api.edge.problem_documents import MEDIA_TYPE, ProblemDocument, RefusalError, problem_document
from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.openapi import examples
from flowengine.api.openapi.docs_page import service_version
from flowengine.execution.views import (
    CreatedView,
    ExecutionView,
    HealthView,
    ResultsView,
    TriggeredView,
)
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.workflow.schema import document_schema

Json = dict[str, JsonValue]

_REF: Final = "#/components/schemas/{name}"
_VIEWS: Final = (CreatedView, TriggeredView, ExecutionView, ResultsView, HealthView, ProblemDocument)
_EVERYWHERE: Final = ("internal_error", "misdirected_request")
_CLOSED: Final = ("unauthorized",)
_STORE: Final = ("store_unavailable",)
_ADMITS: Final = ("too_many_executions", "store_unavailable", "store_full")
_DESCRIPTION: Final = """\
Accepts workflows, starts them, and reports on them. Every error is a problem document (RFC 9457) with a
stable `code`; every response carries `X-Correlation-ID`, taken from the request or generated."""


def openapi_document(catalog: Registry, settings: Settings) -> bytes:
    """The document as JSON."""
    workflow, definitions = _workflow_schemas(catalog)
    _, views = msgspec.json.schema_components(_VIEWS, ref_template=_REF)
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "FlowEngine",
            "version": service_version(),
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "tags": [{"name": "workflows", "description": "Run them"}, {"name": "service"}],
        "paths": _paths(),
        "components": {
            "schemas": {**views, **definitions, "Workflow": workflow},
            "headers": {"CorrelationId": _correlation_header()},
            "parameters": {"CorrelationId": _correlation_parameter(), "ExecutionId": _id_parameter()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Made by `flowengine key new`."}
            },
        },
        "security": [{"key": []}] if settings.api_keys else [],
    }
    return msgspec.json.encode(document)


def _paths() -> Json:
    return {
        "/workflow": {
            "post": _operation(
                "/workflow",
                "create_execution",
                "Accept a workflow",
                "Validates the document, reports all its problems at once, and stores a pending execution.",
                {"201": _answer("Stored, not yet started", CreatedView, {"created": examples.CREATED})},
                ("malformed_document", "request_timeout", "body_too_large", "unsupported_media_type",
                 "invalid_workflow", "too_busy", *_ADMITS),
                body=_workflow_body(),
            )
        },
        "/workflow/trigger/{execution_id}": {
            "post": _operation(
                f"/workflow/trigger/{examples.ID}",
                "trigger_execution",
                "Start an execution",
                "Starts a pending execution; on a failed one retries only what failed. Of two at once "
                "exactly one starts it.",
                {"202": _answer("Started", TriggeredView, {"started": examples.TRIGGERED})},
                ("execution_not_found", "wrong_state", *_ADMITS),
                about_one=True,
            )
        },
        "/workflows/{execution_id}": {
            "get": _operation(
                f"/workflows/{examples.ID}",
                "show_execution",
                "Status of an execution and of every node",
                "Nodes come in the document's order.",
                {"200": _answer("The state", ExecutionView, {
                    "running": examples.RUNNING_STATUS,
                    "completed": examples.COMPLETED_STATUS,
                    "failed": examples.FAILED_STATUS,
                })},
                ("execution_not_found", *_STORE, "too_busy"),
                about_one=True,
            )
        },
        "/workflows/{execution_id}/results": {
            "get": _operation(
                f"/workflows/{examples.ID}/results",
                "show_results",
                "Outputs of the completed nodes, errors of the failed",
                "May be read while the execution runs: it holds what has ended so far.",
                {"200": _answer("By node id", ResultsView,
                                {"completed": examples.COMPLETED, "failed": examples.FAILED})},
                ("execution_not_found", *_STORE, "too_busy"),
                about_one=True,
            )
        },
        "/health": {
            "get": {
                **_operation(
                    "/health",
                    "show_health",
                    "Whether the service can work",
                    "Open without a key. `degraded`: what is accepted waits, for a worker for example.",
                    {
                        "200": _answer(
                            "It works; `degraded` while `checks` names something that is missing",
                            HealthView,
                            {"ok": examples.HEALTHY, "degraded": examples.DEGRADED},
                        ),
                        "503": _answer("`checks` names what is down", HealthView, {"down": examples.DOWN}),
                    },
                    (),
                    tag="service",
                    is_open=True,
                ),
                "security": [],
            }
        },
    }  # fmt: skip


def _operation(
    instance: str,
    name: str,
    summary: str,
    description: str,
    answers: Json,
    refusals: tuple[str, ...],
    *,
    body: Json | None = None,
    about_one: bool = False,
    is_open: bool = False,
    tag: str = "workflows",
) -> Json:
    """`instance`: the path of a request for it, as refusals name it."""
    parameters: list[JsonValue] = [{"$ref": "#/components/parameters/CorrelationId"}]
    if about_one:
        parameters.insert(0, {"$ref": "#/components/parameters/ExecutionId"})
    operation: Json = {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": [tag],
        "parameters": parameters,
        "responses": {
            **answers,
            **_refusals((*refusals, *_EVERYWHERE, *(() if is_open else _CLOSED)), instance),
        },
    }
    return operation if body is None else {**operation, "requestBody": body}


def _answer(description: str, view: type[msgspec.Struct], shown: Mapping[str, msgspec.Struct]) -> Json:
    content: Json = {
        "schema": {"$ref": _REF.format(name=view.__name__)},
        "examples": {name: {"value": _plain(value)} for name, value in shown.items()},
    }
    return {"description": description, "headers": _headers(), "content": {"application/json": content}}


def _refusals(kinds: tuple[str, ...], instance: str) -> Json:
    by_status: dict[str, list[str]] = {}
    for kind in kinds:
        by_status.setdefault(str(PROBLEM_KINDS[kind].status), []).append(kind)
    return {status: _refusal(by_status[status], instance) for status in sorted(by_status)}


def _refusal(kinds: list[str], instance: str) -> Json:
    headers = _headers()
    if any(PROBLEM_KINDS[kind].retry_after_s is not None for kind in kinds):
        headers["Retry-After"] = {"description": "Seconds to wait", "schema": {"type": "integer"}}
    if "unauthorized" in kinds:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    content: Json = {
        "schema": {"$ref": _REF.format(name="ProblemDocument")},
        "examples": {
            kind: {"summary": PROBLEM_KINDS[kind].title, "value": _problem(kind, instance)} for kind in kinds
        },
    }
    return {
        "description": "; ".join(PROBLEM_KINDS[kind].title for kind in kinds),
        "headers": headers,
        "content": {MEDIA_TYPE: content},
    }


def _problem(kind: str, instance: str) -> JsonValue:
    refusal = RefusalError(kind, problems=PROBLEM_KINDS[kind].problems)
    return _plain(problem_document(refusal, path=instance, correlation_id=examples.CORRELATION_ID))


def _workflow_body() -> Json:
    schema: JsonValue = {"$ref": _REF.format(name="Workflow")}
    as_json = _body_content(schema, _plain(examples.ARITHMETIC), _plain(examples.WORKFLOW))
    as_yaml = _body_content(schema, examples.ARITHMETIC_YAML, examples.YAML)
    content: Json = {**dict.fromkeys(JSON_TYPES, as_json), **dict.fromkeys(YAML_TYPES, as_yaml)}
    return {"required": True, "description": "The workflow document", "content": content}


def _body_content(schema: JsonValue, arithmetic: JsonValue, calls: JsonValue) -> JsonValue:
    return {
        "schema": schema,
        "examples": {
            "arithmetic": {"summary": "Runs anywhere", "value": arithmetic},
            "http_and_llm": {"summary": "Calls an HTTP service and a model", "value": calls},
        },
    }


def _headers() -> Json:
    return {HEADER: {"$ref": "#/components/headers/CorrelationId"}}


def _correlation_header() -> Json:
    return {
        "description": "The request's id, in every log line that concerns it",
        "schema": {"type": "string", "maxLength": 128},
        "example": examples.CORRELATION_ID,
    }


def _correlation_parameter() -> Json:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Your id for this request: up to 128 printable ASCII characters. Others are replaced.",
        "schema": {"type": "string", "maxLength": 128},
    }


def _id_parameter() -> Json:
    return {
        "name": "execution_id",
        "in": "path",
        "required": True,
        "description": "The id that POST /workflow answered.",
        "schema": {"type": "string"},
        "example": examples.ID,
    }


def _workflow_schemas(catalog: Registry) -> tuple[Json, Json]:
    """The schema of the workflow document, and what it refers to, under names of their own."""
    schema = _plain(document_schema(catalog))
    assert isinstance(schema, dict)
    definitions = schema.pop("$defs", {})
    assert isinstance(definitions, dict)
    schema.pop("$schema", None)
    schema.pop("$id", None)
    moved = _moved(definitions)
    assert isinstance(moved, dict)
    workflow = _moved(schema)
    assert isinstance(workflow, dict)
    return workflow, {f"Workflow.{name}": value for name, value in moved.items()}


def _moved(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {
            name: item.replace("#/$defs/", "#/components/schemas/Workflow.")
            if name == "$ref" and isinstance(item, str)
            else _moved(item)
            for name, item in value.items()
        }
    return [_moved(item) for item in value] if isinstance(value, list) else value


def _plain(value: object) -> JsonValue:
    plain: JsonValue = msgspec.json.decode(msgspec.json.encode(value))
    return plain
