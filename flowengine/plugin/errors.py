"""The errors by which a handler says that its node failed, and what it tried."""

from __future__ import annotations

from typing import Any, Final

import msgspec

MOST_LATER_S: Final = 30 * 86_400


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    """A try inside a handler that did not succeed, for example an HTTP call that was retried.

    `after_s`: seconds from the start of the handler's work to this failure.
    """

    code: str
    message: str
    after_s: float | None = None


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a language model: how it ended, and what it took.

    `code` is that of its failure, or None if it gave the answer. `usage` is what the service reports, None if
    it reported nothing. `seconds`: from sending the request to the end of the answer.
    """

    model: str
    code: str | None = None
    usage: dict[str, Any] | None = None
    seconds: float = 0.0


class HandlerError(Exception):
    """The node failed, and why. `code` is stable and machine-readable; `errors` lists every try.

    `calls` lists what was asked of a language model, so that what a failed node cost is known too.
    `status_code` is the HTTP status that a service answered with. `permanent`: another try would fail the
    same way. `retry_after_s`: how many seconds to wait before another try, if the node has a `retry`.
    """

    status_code: int | None = None
    permanent: bool = False
    retry_after_s: float | None = None

    def __init__(
        self,
        code: str,
        message: str,
        *,
        errors: tuple[AttemptError, ...] = (),
        calls: tuple[ModelCall, ...] = (),
        status_code: int | None = None,
        permanent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.code = code
        self.message = message
        self.errors = errors
        self.calls = calls


class EndedError(HandlerError):
    """An `end` that says failed. `outputs`: what the execution gives though it has failed, if anything."""

    def __init__(self, message: str, outputs: dict[str, Any] | None) -> None:
        super().__init__("ended", message, permanent=True)
        self.outputs = outputs


class Later(Exception):  # noqa: N818 - no error: the handler asks for another call
    """Raised by a handler that is to be called again after so many seconds: its node waits, and no worker
    holds it meanwhile.

    It is no failed attempt: the next call is part of the same one, with the same `idempotency_key`. All calls
    together take no longer than the node's `retry.max_seconds` (a day, where it says nothing). Raises
    ValueError for what is no time between 0 and 30 days.
    """

    def __init__(self, seconds: float) -> None:
        if not _is_wait(seconds):
            raise ValueError(f"Later takes 0 to {MOST_LATER_S} seconds, not {seconds!r}")
        super().__init__(f"it asks to be called again in {seconds:g} s")
        self.seconds = seconds


def _is_wait(seconds: object) -> bool:
    """Whether a node can wait for so long; NaN is no time."""
    return isinstance(seconds, int | float) and 0 <= seconds <= MOST_LATER_S


class ResultTooLargeError(HandlerError):
    """The result has `size` bytes as JSON, and may have `most`."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            "result_too_large",
            f"the result is {size} bytes, the limit is {most} (FLOWENGINE_MAX_RESULT_BYTES): return less, or "
            "store it elsewhere and return where",
        )


class HandlerTimeoutError(HandlerError):
    """The node's `timeout_seconds` ran out."""

    def __init__(
        self, message: str, *, errors: tuple[AttemptError, ...] = (), calls: tuple[ModelCall, ...] = ()
    ) -> None:
        super().__init__("timeout", message, errors=errors, calls=calls)
