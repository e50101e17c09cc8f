"""What a handler returns whose node waits or runs on then, without a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

LEAST_WAIT_S: Final = 1
MOST_WAIT_S: Final = 30 * 86_400


class Wait(msgspec.Struct, frozen=True):
    """Returned by a handler whose node is to wait for a signal: no worker holds it meanwhile.

    The node completes with what the signal carries: its output is `{result: payload, timed_out: false}`.
    `signal`: its name, or several, of which the node takes the first that comes; its result is
    `{name, payload}` then. The handler declares them: `@handler("charge", signals=["paid"])`. None: all that
    it declares. `prompt`: what a person is asked. `timeout_seconds`: how long the node waits, 7 days where
    nothing is said. Then it fails with `timeout`, or with `on_timeout="continue"` it completes with the
    result `{timed_out: true}`.

    Raises ValueError for what is no name, and for a time that is not 1 second to 30 days.
    """

    signal: str | Sequence[str] | None = None
    prompt: str | None = None
    timeout_seconds: float | None = None
    on_timeout: Literal["fail", "continue"] = "fail"

    def __post_init__(self) -> None:
        if self.signal is not None and not _are_names(self.signal):
            raise ValueError(f"Wait takes the name of a signal, or several, not {self.signal!r}")
        seconds = self.timeout_seconds
        if seconds is not None and not _is_time(seconds):
            text = f"Wait takes a timeout of {LEAST_WAIT_S} to {MOST_WAIT_S} seconds, not {seconds!r}"
            raise ValueError(text)
        if self.on_timeout not in ("fail", "continue"):
            raise ValueError(f"Wait takes on_timeout 'fail' or 'continue', not {self.on_timeout!r}")


def _are_names(signal: object) -> bool:
    """Whether it is one text, or several."""
    names = [signal] if isinstance(signal, str) else signal
    return isinstance(names, list | tuple) and all([bool(names), *[_is_name(name) for name in names]])


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name)


def _is_time(seconds: object) -> bool:
    """Whether a node can wait for so long; NaN is no time."""
    return isinstance(seconds, int | float) and LEAST_WAIT_S <= seconds <= MOST_WAIT_S


class WaitAsSaid(msgspec.Struct, frozen=True, kw_only=True):
    """The node of a built-in handler waits: for `seconds` from when it was sent, or until a time in
    milliseconds since the epoch; or, with neither, for what its config says. `prompt`: what a person is
    asked."""

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
