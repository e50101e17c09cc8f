"""From any error to the RFC 9457 problem document that a caller gets for it.

Whatever is raised while a request is answered becomes one RefusalError here, whose kind is a row of the
problem table. Nothing of an unexpected error reaches the caller: the document names the correlation id, and
the log tells the rest under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import structlog
from litestar.exceptions import HTTPException

from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.engine.commands.answering.decide import AlreadyDecidedError
from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.engine.commands.rerun import RerunInvalidError, RerunNotPossibleError
from flowengine.engine.definitions.refusals import WorkflowInvalidError
from flowengine.errors import ConcurrencyLimitError, FlowEngineError, TooManyExecutionsError
from flowengine.execution.views.executions import DecisionView
from flowengine.workflow.inputs.beginning import VarsInvalidError
from flowengine.workflow.inputs.values import InputsInvalidError
from flowengine.workflow.problems import Problem

MEDIA_TYPE: Final = "application/problem+json"
_MAX_INSTANCE_CHARS: Final = 512
_FROM_FRAMEWORK: Final = {400: "bad_request", 404: "route_not_found", 405: "method_not_allowed"}
"""What Litestar itself refuses, by status: it routes requests and reads their parameters."""

_WITH_PROBLEMS: Final = (
    InputsInvalidError,
    VarsInvalidError,
    RerunInvalidError,
    RerunNotPossibleError,
    PayloadInvalidError,
    WorkflowInvalidError,
)

log = structlog.stdlib.get_logger()


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the caller gets (RFC 9457, section 3). `problems` lists everything wrong with a workflow.
    `decision`: the first one about a node, which counts."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    correlation_id: str
    problems: tuple[Problem, ...] = ()
    decision: DecisionView | None = None


class RefusalError(FlowEngineError):
    """A request is refused. `kind` is a code of the problem table; `detail` is the row's by default."""

    def __init__(
        self,
        kind: str,
        detail: str | None = None,
        *,
        problems: tuple[Problem, ...] = (),
        headers: Mapping[str, str] | None = None,
        decision: DecisionView | None = None,
    ) -> None:
        self.kind = kind
        self.detail = PROBLEM_KINDS[kind].detail if detail is None else detail
        self.problems = problems
        self.decision = decision
        self.headers = dict(headers or {})
        super().__init__(self.detail)


class ProblemResponse(msgspec.Struct, frozen=True):
    """A refusal, ready to be sent as MEDIA_TYPE."""

    status: int
    headers: dict[str, str]
    body: bytes


def refusal_for(error: Exception) -> RefusalError:
    """What a caller is told about `error`. Logs an error that nobody expected: it is `internal_error`."""
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, TooManyExecutionsError | ConcurrencyLimitError):
        return RefusalError(error.code, str(error), headers={"Retry-After": str(error.retry_after_s)})
    if isinstance(error, _WITH_PROBLEMS):
        return RefusalError(error.code, str(error), problems=error.problems)
    if isinstance(error, AlreadyDecidedError):
        return RefusalError(error.code, str(error), decision=error.decision)
    if isinstance(error, FlowEngineError) and error.code in PROBLEM_KINDS:
        return RefusalError(error.code, str(error))
    if isinstance(error, HTTPException) and error.status_code in _FROM_FRAMEWORK:
        return _from_framework(error)
    log.error("http.request_failed", exc_info=error)
    return RefusalError("internal_error")


def _from_framework(error: HTTPException) -> RefusalError:
    kind = _FROM_FRAMEWORK[error.status_code]
    if kind == "method_not_allowed":
        allowed = allow_header((error.headers or {}).get("allow", "").split(","))
        return RefusalError(kind, f"Allowed here: {allowed}.", headers={"Allow": allowed})
    return RefusalError(kind, error.detail if kind == "bad_request" else None)


def allow_header(methods: Iterable[str]) -> str:
    """The Allow header of a route: HEAD is served wherever GET is."""
    allowed = {name.strip() for name in methods} - {""}
    return ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set())))


def problem_document(refusal: RefusalError, *, path: str, correlation_id: str) -> ProblemDocument:
    """The document for a refused request. `path` is the percent-encoded path as it was sent."""
    kind = PROBLEM_KINDS[refusal.kind]
    return ProblemDocument(
        type=f"urn:flowengine:problem:{refusal.kind}",
        title=kind.title,
        status=kind.status,
        detail=refusal.detail,
        instance=path[:_MAX_INSTANCE_CHARS],
        code=refusal.kind,
        correlation_id=correlation_id,
        problems=refusal.problems,
        decision=refusal.decision,
    )


def problem_response(refusal: RefusalError, *, path: str, correlation_id: str) -> ProblemResponse:
    """The response to a refused request. Arguments as for `problem_document`."""
    document = problem_document(refusal, path=path, correlation_id=correlation_id)
    retry_after_s = PROBLEM_KINDS[refusal.kind].retry_after_s
    retry = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return ProblemResponse(document.status, {**retry, **refusal.headers}, msgspec.json.encode(document))
