"""Any exception of a handler as a HandlerError: its code, its message, the line it came from. Pure.

Handlers are users' code, so they may raise anything, `SystemExit` included. No stack trace may reach a user.
Knows httpx's errors without importing httpx.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path
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
from flowengine.handlers.http.outgoing_request import without_secret_parts
from flowengine.handlers.secrets.shown_text import redacted
from flowengine.plugin.errors import HandlerError

MAX_MESSAGE_CHARS: Final = 2000
_CUT: Final = "..."
_OURS: Final = str(Path(__file__).parents[2])
_INSTALLED: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_MAX_NAME_CHARS: Final = 100

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
    """The error as a HandlerError; a HandlerError comes back as it is.

    Codes: `handler_exited` for SystemExit and KeyboardInterrupt, those of the HTTP handlers for httpx's
    errors, and `handler_error` for everything else (the message names the line it came from).
    """
    if isinstance(error, HandlerError):
        return error
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return HandlerError(HANDLER_EXITED.code, f"the handler tried to end its process ({described(error)})")
    if code := _http_code(error):
        return HandlerError(code.code, _http_described(error, code))
    place = place_of(error)
    return HandlerError(HANDLER_ERROR.code, described(error, MAX_MESSAGE_CHARS - len(place)) + place)


def described(error: BaseException, most: int = MAX_MESSAGE_CHARS) -> str:
    """Type and message of an exception in at most `most` characters; never fails.

    A longer one ends in `...`. Secrets are taken out before it is cut.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the edge to users' code: their __str__ may raise anything
        text = "(its message cannot be shown)"
    name = type(error).__name__
    whole = redacted(f"{name}: {text}" if text else name)
    return whole if len(whole) <= most else f"{whole[: most - len(_CUT)]}{_CUT}"


def place_of(error: BaseException) -> str:
    """` (my_handlers.py:42)`: the last line of the user's own files, or else of the package they installed.

    Lines of FlowEngine do not count; empty if there is no other. The file is named without its folder, since
    messages reach the callers of the API.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return _written(error.filename, error.lineno)
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith((_OURS, "<frozen "))
    ]
    own = [found for found in frames if not found[0].startswith(_INSTALLED)]
    # An installed package of handlers has no files of the user's: its own frames are the best there are.
    best = own[-1] if own else next(iter(_of_first_package(frames)), None)
    return "" if best is None else _written(*best)


def _http_code(error: BaseException) -> ErrorCode | None:
    if "httpx" not in sys.modules:
        return None
    names = {kind.__name__ for kind in type(error).__mro__ if _is_http(kind)}
    return next((code for name, code in _HTTP_CODES if name in names), None)


def _http_described(error: BaseException, code: ErrorCode) -> str:
    """The same without the parts of addresses that httpx quotes, in which no secret could be recognised."""
    if code is INVALID_REQUEST:
        return f"{type(error).__name__}: {str(error).partition(':')[0]}"
    request = getattr(error, "_request", None)  # the property raises an error if there is none
    return described(error) if request is None else without_secret_parts(described(error), str(request.url))


def _is_http(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("httpx", "flowengine")


def _of_first_package(frames: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The frames of the first package that was called, in reverse order."""
    outside_python = [found for found in frames if not _is_standard(found[0])]
    if not outside_python:
        return []
    home = Path(outside_python[0][0]).parent
    return [found for found in reversed(outside_python) if Path(found[0]).is_relative_to(home)]


def _is_standard(name: str) -> bool:
    return name.startswith(_INSTALLED[:2]) and not name.startswith(_INSTALLED[2:])


def _written(name: str, line: int | None) -> str:
    return f" ({Path(name).name[-_MAX_NAME_CHARS:]}:{line})"
