"""The refusals of the OpenAPI document: rows of the problem table, each described once for all routes.

What any route may answer is one response, `default`. What a route names itself stands under its status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from flowengine.api.edge import correlation_id
from flowengine.api.edge.problem_documents import (
    MEDIA_TYPE,
    ProblemDocument,
    RefusalError,
    problem_document,
)
from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.api.openapi.operation import JsonObject
from flowengine.api.openapi.schemas import name_of, plain, reference
from flowengine.jsonvalue import JsonValue

OF_ANY_ROUTE: Final = (
    "unauthorized",
    "cross_site_request",
    "misdirected_request",
    "internal_error",
    "store_unavailable",
    "stored_format",
    "store_full",
    "too_busy",
    "conflict",
)
ANY_REFUSAL: Final = "AnyRefusal"
"""The component that describes them."""

NEVER_SHOWN: Final = frozenset({"route_not_found", "method_not_allowed", "bad_request"})
"""What no operation answers: the request was for none."""


def refusal_responses(kinds: Iterable[str]) -> JsonObject:
    """The responses of an operation that refuses for these reasons, as references by status."""
    named = {status: _named(_component(found)) for status, found in _by_status(kinds).items()}
    return {**named, "default": _named(ANY_REFUSAL)}


def refusal_components(operations: Iterable[tuple[Iterable[str], str]], path: str) -> JsonObject:
    """Every response that operations refer to, by name. `operations`: the reasons and an example's path of
    each; `path` is that of the examples for any route."""
    made: JsonObject = {}
    for kinds, example in operations:
        for found in _by_status(kinds).values():
            made.setdefault(_component(found), _response(found, example))
    return {**made, ANY_REFUSAL: _response(OF_ANY_ROUTE, path, "Any other refusal; `code` says which")}


def refusal_table() -> str:
    """All of them, in Markdown."""
    rows = [
        f"| {kind.status} | `{code}` | {kind.title} |"
        for code, kind in sorted(PROBLEM_KINDS.items(), key=lambda item: item[1].status)
    ]
    return "\n".join(["| status | `code` | meaning |", "| --- | --- | --- |", *rows])


def _by_status(kinds: Iterable[str]) -> dict[str, list[str]]:
    by_status: dict[str, list[str]] = {}
    for kind in sorted(set(kinds)):
        by_status.setdefault(str(PROBLEM_KINDS[kind].status), []).append(kind)
    return by_status


def _component(kinds: Sequence[str]) -> str:
    return "Or".join(kind.title().replace("_", "") for kind in kinds)


def _named(component: str) -> JsonObject:
    return {"$ref": f"#/components/responses/{component}"}


def _response(kinds: Sequence[str], path: str, description: str | None = None) -> JsonObject:
    headers: JsonObject = {correlation_id.HEADER: {"$ref": "#/components/headers/CorrelationId"}}
    if any(PROBLEM_KINDS[kind].retry_after_s is not None for kind in kinds):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    if "unauthorized" in kinds:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/Challenge"}
    examples: JsonObject = {
        kind: {"summary": PROBLEM_KINDS[kind].title, "value": _example(kind, path)} for kind in kinds
    }
    return {
        "description": description or "; ".join(PROBLEM_KINDS[kind].title for kind in kinds),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": reference(name_of(ProblemDocument)), "examples": examples}},
    }


def _example(kind: str, path: str) -> JsonValue:
    refusal = RefusalError(kind, problems=PROBLEM_KINDS[kind].problems)
    return plain(problem_document(refusal, path=path, correlation_id=correlation_id.EXAMPLE))
