"""What a built-in handler returns whose node waits or runs on then, without a worker."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """The node waits: for `seconds` from when it was sent, or until a time in milliseconds since the epoch;
    or, with neither, for what its config says. `prompt`: what a person is asked."""

    kind: Literal["wait", "signal", "approval"]
    seconds: float | None = None
    until_ms: int | None = None
    prompt: str | None = None


class RunWorkflow(msgspec.Struct, frozen=True):
    """The node runs as an execution of the definition of this name: of this version, or of the one in force.

    `waits`: the node ends as that does; else it has only begun it.
    """

    name: str
    version: int | None
    inputs: dict[str, Any]
    waits: bool
