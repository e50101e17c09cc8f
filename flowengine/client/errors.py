"""What a call of the client may raise."""

from __future__ import annotations

import msgspec

from flowengine.errors import FlowEngineError
from flowengine.workflow.problems import Problem


class ClientError(FlowEngineError):
    """A call has not been answered as it should."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The API's problem document (RFC 9457). `problems`: everything that is wrong with what was sent."""

    status: int
    code: str
    detail: str
    title: str = ""
    instance: str = ""
    correlation_id: str = ""
    problems: tuple[Problem, ...] = ()


class RefusedError(ClientError):
    """The API has refused a call. `refusal` is its problem document."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
        self.code = refusal.code  # type: ignore[misc]  # each refusal has its own
        self.status = refusal.status
        self.detail = refusal.detail
        self.problems = refusal.problems


class UnreachableError(ClientError):
    """Nothing has answered. Whether a call that changes something was applied is not known."""

    code = "unreachable"


class BadAnswerError(ClientError):
    """What has answered is no FlowEngine, or one of another version."""

    code = "bad_answer"


class NotEndedError(ClientError):
    """The time to wait is over, and the execution has not ended."""

    code = "not_ended"
