"""What an exception out of a handler says about its node: a HandlerError with a stable code. Pure.

Handlers are users' code: anything may come out of them, `SystemExit` included, and no stack trace
may reach a user. Knows httpx's errors without importing httpx.
"""

from __future__ import annotations

import sys
from typing import Final

from flowengine.execution.error_codes import (
    CONNECTION_FAILED,
    EGRESS_REFUSED,
    HANDLER_ERROR,
    HANDLER_EXITED,
    HTTP_STATUS,
    INVALID_REQUEST,
    INVALID_RESPONSE,
    REQUEST_TIMEOUT,
    RESPONSE_TOO_LARGE,
    ErrorCode,
)
from flowengine.handlers.invoking.traceback_frames import place_of
from flowengine.plugin.errors import HandlerError

MAX_MESSAGE_CHARS: Final = 2000
_CUT: Final = "..."

_HTTP_CODES: Final = (
    ("EgressRefusedError", EGRESS_REFUSED),
    ("ResponseTooLargeError", RESPONSE_TOO_LARGE),
    ("HTTPStatusError", HTTP_STATUS),
    ("DecodingError", INVALID_RESPONSE),
    ("TimeoutException", REQUEST_TIMEOUT),
    ("TransportError", CONNECTION_FAILED),
    ("InvalidURL", INVALID_REQUEST),
)


def failure_of(error: BaseException) -> HandlerError:
    """The error as a HandlerError; one that is already comes back as it is.

    Codes: `handler_error` for anything (the message names the line it came from), `handler_exited` for
    SystemExit and KeyboardInterrupt, and those of the HTTP handlers for what httpx raises.
    """
    if isinstance(error, HandlerError):
        return error
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return HandlerError(HANDLER_EXITED.code, f"the handler tried to end its process ({described(error)})")
    if code := _http_code(error):
        return HandlerError(code.code, described(error))
    place = place_of(error)
    return HandlerError(HANDLER_ERROR.code, described(error, MAX_MESSAGE_CHARS - len(place)) + place)


def described(error: BaseException, most: int = MAX_MESSAGE_CHARS) -> str:
    """Type and message of an exception in at most so many characters; never fails.

    `...` says where it was cut: the start of a secret is looked for there.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the edge to users' code: their __str__ may raise anything
        text = "(its message cannot be shown)"
    name = type(error).__name__
    whole = f"{name}: {text}" if text else name
    return whole if len(whole) <= most else f"{whole[: most - len(_CUT)]}{_CUT}"


def _http_code(error: BaseException) -> ErrorCode | None:
    if "httpx" not in sys.modules:
        return None
    names = {kind.__name__ for kind in type(error).__mro__ if _is_http(kind)}
    return next((code for name, code in _HTTP_CODES if name in names), None)


def _is_http(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("httpx", "flowengine")
