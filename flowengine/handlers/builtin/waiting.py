"""`wait`, `signal` and `approval`: their nodes wait for a time, a signal, a person's decision.

The handlers read the configs; no worker holds the nodes after that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from flowengine.execution.error_codes import INVALID_CONFIG
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.literal_check import LiteralCheck
from flowengine.plugin.registry import handler
from flowengine.plugin.waiting import WaitAsSaid
from flowengine.workflow.waits.wait_policy import MAX_TIMEOUT_S

_ONE_OF_BOTH: Final = "a `wait` has `seconds` or `until`, and one of them only"
_NO_TIME: Final = "`until` is a time with its offset from UTC, as in 2026-12-01T08:00:00+01:00"


def _wrong_with_until(until: str) -> str | None:
    try:
        _milliseconds(until)
    except (ValueError, OverflowError):
        return _NO_TIME
    return None


def _milliseconds(until: str) -> int:
    """Since the epoch. Raises ValueError, OverflowError."""
    time = datetime.fromisoformat(until)
    if time.tzinfo is None:
        raise ValueError(until)
    return round(time.timestamp() * 1000)


class WaitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long the node waits: `seconds`, or `until` a time."""

    SCHEMA_RULES: ClassVar[dict[str, Any]] = {"oneOf": [{"required": ["seconds"]}, {"required": ["until"]}]}

    seconds: (
        Annotated[float, msgspec.Meta(ge=0, le=MAX_TIMEOUT_S, description="From when the node was sent.")]
        | None
    ) = None
    until: Annotated[
        str | None,
        msgspec.Meta(description="A time with its offset from UTC, as in 2026-12-01T08:00:00+01:00."),
        LiteralCheck(_wrong_with_until),
    ] = None

    @classmethod
    def wrong_with(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """One of the two fields is there."""
        if (config.get("seconds") is None) == (config.get("until") is None):
            yield "", _ONE_OF_BOTH


class WaitResult(msgspec.Struct, frozen=True):
    """The output: `result` is the time until which the node has waited."""

    result: str


@handler("wait", primary="result", secrets=False, output=WaitResult)
def wait(config: WaitConfig, context: Context) -> WaitAsSaid:
    """Waits for a while, or until a time, up to 30 days, and holds no worker meanwhile.

    Raises HandlerError: `invalid_config`.
    """
    if config.seconds is not None and config.until is None:
        return WaitAsSaid(kind="wait", seconds=config.seconds)
    if config.until is None or config.seconds is not None:
        raise HandlerError(INVALID_CONFIG.code, f"config: {_ONE_OF_BOTH}")
    try:
        return WaitAsSaid(kind="wait", until_ms=_milliseconds(config.until))
    except (ValueError, OverflowError) as error:
        raise HandlerError(INVALID_CONFIG.code, f"config.until: {_NO_TIME}") from error


Choice = Literal["fail", "continue"]
MAX_PROMPT_CHARS: Final = 10_000


class SignalConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which signal the node waits for."""

    name: Annotated[str | None, msgspec.Meta(description="The name of the signal; the node's own id.")] = None
    names: Annotated[
        list[str] | None, msgspec.Meta(description="Several names, in place of `name`: the first that comes.")
    ] = None
    prompt: Annotated[
        str, msgspec.Meta(description="What a person is asked for.", max_length=MAX_PROMPT_CHARS)
    ] = ""
    schema: Annotated[
        dict[str, Any] | None, msgspec.Meta(description="The JSON Schema of what the signal carries.")
    ] = None
    on_timeout: Annotated[
        Choice, msgspec.Meta(description="Whether the node fails when nothing has come in time.")
    ] = "fail"


class SignalResult(msgspec.Struct, frozen=True):
    """The output: `result` is what the signal carries."""

    result: Any
    timed_out: bool


@handler("signal", primary="result", secrets=False, output=SignalResult)
def signal(config: SignalConfig, context: Context) -> WaitAsSaid:
    """Waits for a signal, up to 30 days, and gives what it carries."""
    return WaitAsSaid(kind="signal", prompt=config.prompt or None)


class ApprovalConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person is asked."""

    prompt: Annotated[str, msgspec.Meta(description="What is asked.", max_length=MAX_PROMPT_CHARS)] = ""
    schema: Annotated[
        dict[str, Any] | None, msgspec.Meta(description="The JSON Schema of the data of an approval.")
    ] = None
    on_reject: Annotated[
        Choice, msgspec.Meta(description="Whether the node fails when a person rejects.")
    ] = "fail"
    on_timeout: Annotated[
        Choice, msgspec.Meta(description="Whether the node fails when nobody has decided in time.")
    ] = "fail"


class Decision(msgspec.Struct, frozen=True):
    """What a person has decided. With `on_timeout: continue` it may be `timed_out` alone."""

    approved: bool
    comment: str | None
    data: Any
    by: str | None
    at: str
    timed_out: bool


class ApprovalResult(msgspec.Struct, frozen=True):
    """The output: `result` is what a person has decided."""

    result: Decision
    timed_out: bool


@handler("approval", primary="result", secrets=False, output=ApprovalResult)
def approval(config: ApprovalConfig, context: Context) -> WaitAsSaid:
    """Waits for a person to approve or reject, up to 30 days; a timeout never approves."""
    return WaitAsSaid(kind="approval", prompt=config.prompt or None)
