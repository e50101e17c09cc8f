"""What a built-in handler returns whose node waits then, without a worker."""

from __future__ import annotations

from typing import Literal

import msgspec


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """The node waits: for `seconds` from when it was sent, or until a time in milliseconds since the epoch;
    or, with neither, for what its config says. `prompt`: what a person is asked."""

    kind: Literal["wait", "signal", "approval"]
    seconds: float | None = None
    until_ms: int | None = None
    prompt: str | None = None
