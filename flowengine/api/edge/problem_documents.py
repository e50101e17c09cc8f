"""Every refusal of the API as an RFC 9457 problem document, from one table.

What an error means to a caller is decided here and nowhere else. Nothing of an unexpected error
reaches the caller: it gets the correlation id under which the log tells more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from litestar.exceptions import HTTPException

from flowengine.errors import FlowEngineError, TooManyExecutionsError
from flowengine.workflow.problems import Problem

MEDIA_TYPE: Final = "application/problem+json"
_MAX_INSTANCE_CHARS: Final = 512


class Kind(msgspec.Struct, frozen=True):
    """One row: the status, the title, and an example of a detail. `retry_after_s`: when to come again."""

    status: int
    title: str
    example: str
    retry_after_s: int | None = None


KINDS: Final[Mapping[str, Kind]] = {
    "bad_request": Kind(400, "The request cannot be understood", "The request is malformed."),
    "malformed_document": Kind(
        400,
        "The body is no well-formed JSON or YAML",
        "line 2, column 12: this is not JSON: invalid character",
    ),
    "unauthorized": Kind(401, "A key is needed", "Send a key in the header `Authorization: Bearer KEY`."),
    "route_not_found": Kind(404, "No such route", "There is nothing here; see /docs."),
    "execution_not_found": Kind(
        404,
        "No such execution",
        "no execution has the id '19b7ca98f2ef2c4d1b3a9e87f60'; it never existed, or it has expired",
    ),
    "method_not_allowed": Kind(405, "The route has no such method", "Allowed here: GET, HEAD, OPTIONS."),
    "request_timeout": Kind(408, "The body took too long", "The body did not arrive within 30 s."),
    "wrong_state": Kind(
        409,
        "The execution's state does not allow this",
        "execution '19b7ca98f2ef2c4d1b3a9e87f60' is completed; only a pending or failed one can be triggered",
    ),
    "body_too_large": Kind(
        413, "The body is too large", "A body in YAML may have 2097152 bytes; it has 2097153."
    ),
    "unsupported_media_type": Kind(
        415,
        "The body's media type is not accepted",
        "Content-Type must be one of application/json, application/yaml, application/x-yaml, text/yaml, "
        "text/x-yaml; not 'text/plain'.",
    ),
    "misdirected_request": Kind(
        421,
        "The host name is not this service's",
        "Without keys only loopback host names are served: set FLOWENGINE_API_KEYS, or start the API "
        "with --insecure where something else keeps strangers out.",
    ),
    "invalid_workflow": Kind(
        422,
        "The workflow has problems",
        "1 problem: see `problems`. The first: line 7, column 14: no handler called 'llm_servce'; "
        "did you mean 'llm_service'? See: flowengine handlers",
    ),
    "too_many_executions": Kind(
        429,
        "Too many executions wait or run",
        "100000 executions have not ended, the limit is 100000 (FLOWENGINE_MAX_UNFINISHED_EXECUTIONS): "
        "try again later",
        5,
    ),
    "internal_error": Kind(500, "Something went wrong here", "The log tells more under this correlation id."),
    "store_unavailable": Kind(503, "Redis cannot be used", "Redis did not answer within 6 s.", 5),
    "store_full": Kind(
        503,
        "Redis is close to its memory limit",
        "Redis uses 931234567 of 1073741824 bytes, more than 85%: new work is refused so that what runs "
        "can end; raise maxmemory or wait",
        30,
    ),
    "too_busy": Kind(503, "Too much at once", "Too many large bodies are being read at once; try again.", 1),
    "conflict": Kind(503, "Too many changes at once", "Others changed the same execution; try again.", 1),
}

_BY_STATUS: Final = {
    400: "bad_request",
    401: "unauthorized",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the caller gets (RFC 9457, section 3). `problems` lists everything wrong with a workflow."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    correlation_id: str
    problems: tuple[Problem, ...] = ()


class RefusalError(FlowEngineError):
    """A request is refused; `kind` is a key of the table."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        problems: tuple[Problem, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.problems = problems
        self.headers = dict(headers or {})


class Answer(msgspec.Struct, frozen=True):
    """A refusal, ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def refusal_for(error: Exception) -> RefusalError:
    """What a caller is told about `error`; an error nobody expected is `internal_error`."""
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, TooManyExecutionsError):
        return RefusalError(error.code, str(error), headers={"Retry-After": str(error.retry_after_s)})
    if isinstance(error, FlowEngineError) and error.code in KINDS:
        return RefusalError(error.code, str(error))
    if isinstance(error, HTTPException) and error.status_code in _BY_STATUS:
        return _from_framework(error)
    return RefusalError("internal_error", KINDS["internal_error"].example)


def _from_framework(error: HTTPException) -> RefusalError:
    kind = _BY_STATUS[error.status_code]
    if kind == "route_not_found":
        return RefusalError(kind, KINDS[kind].example)
    if kind == "method_not_allowed":
        listed = allow((error.headers or {}).get("allow", "").split(","))
        return RefusalError(kind, f"Allowed here: {listed}.", headers={"Allow": listed})
    return RefusalError(kind, error.detail or HTTPStatus(error.status_code).phrase)


def allow(methods: Iterable[str]) -> str:
    """The Allow header of a route: HEAD goes wherever GET does."""
    allowed = {name.strip() for name in methods} - {""}
    return ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set())))


def answer(refusal: RefusalError, *, path: str, correlation_id: str) -> Answer:
    """The response to a refused request. `path` is the percent-encoded path as it was sent."""
    kind = KINDS[refusal.kind]
    document = ProblemDocument(
        type=f"urn:flowengine:problem:{refusal.kind}",
        title=kind.title,
        status=kind.status,
        detail=refusal.detail,
        instance=path[:_MAX_INSTANCE_CHARS],
        code=refusal.kind,
        correlation_id=correlation_id,
        problems=refusal.problems,
    )
    retry = {} if kind.retry_after_s is None else {"Retry-After": str(kind.retry_after_s)}
    headers = {"Content-Type": MEDIA_TYPE, **retry, **refusal.headers}
    return Answer(kind.status, headers, msgspec.json.encode(document))
