"""The errors by which a handler says that its node failed, and what it tried."""

from __future__ import annotations

import msgspec


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    """A try inside a handler that did not succeed, for example an HTTP call that was retried.

    `after_s`: seconds from the start of the handler's work to this failure.
    """

    code: str
    message: str
    after_s: float | None = None


class HandlerError(Exception):
    """The node failed, and why. `code` is stable and machine-readable; `errors` lists every try."""

    def __init__(self, code: str, message: str, *, errors: tuple[AttemptError, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = errors


class HandlerTimeoutError(HandlerError):
    """The node's `timeout_seconds` ran out."""

    def __init__(self, message: str, *, errors: tuple[AttemptError, ...] = ()) -> None:
        super().__init__("timeout", message, errors=errors)
