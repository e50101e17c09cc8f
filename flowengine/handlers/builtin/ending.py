"""`end`: stops its execution early. The engine acts on its end; the handler says what it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from flowengine.plugin.context import Context
from flowengine.plugin.errors import EndedError
from flowengine.plugin.registry import handler


class EndConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the execution ends."""

    status: Annotated[
        Literal["completed", "failed"], msgspec.Meta(description="The status that the execution ends in.")
    ] = "completed"
    message: Annotated[str, msgspec.Meta(description="Why it ends.")] = ""
    outputs: Annotated[
        dict[str, Any] | None, msgspec.Meta(description="What the execution gives, in place of its outputs.")
    ] = None


class EndResult(msgspec.Struct, frozen=True):
    """The output: `result` is what the config's `outputs` are."""

    result: dict[str, Any] | None
    message: str


@handler("end", primary="result", secrets=False, output=EndResult)
def end(config: EndConfig, context: Context) -> EndResult:
    """Stops the execution: what is pending is skipped, what runs is told to stop.

    Raises EndedError where `status` is failed.
    """
    if config.status == "failed":
        raise EndedError(config.message or "ended as failed by an `end`", config.outputs)
    return EndResult(config.outputs, config.message)
