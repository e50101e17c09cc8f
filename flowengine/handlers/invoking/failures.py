"""Any exception of a handler as a HandlerError: its code, its message, the line it came from. Pure.

Handlers are users' code, so they may raise anything, `SystemExit` included, and their exceptions may be made
of anything. What comes out is text that can be stored. No stack trace may reach a user.
Knows httpx's errors without importing httpx.
"""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable
from functools import cache
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
from flowengine.handlers.secrets.shown_text import CUT, redacted
from flowengine.plaintext import encodable_text
from flowengine.plugin.errors import AttemptError, HandlerError, ModelCall

MAX_MESSAGE_CHARS: Final = 2000
_MOST_SEARCHED_CHARS: Final = 32 * 1024
_MOST_OF_GROUP: Final = 3
_OURS: Final = str(Path(__file__).parents[2])
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
    """The error as a HandlerError whose parts are text that can be stored; never fails.

    A HandlerError comes back as it is, unless a part of it is something else than it should be. Codes:
    `handler_exited` for SystemExit and KeyboardInterrupt, those of the HTTP handlers for httpx's errors, and
    `handler_error` for everything else (the message names the line it came from).
    """
    try:
        if isinstance(error, HandlerError):
            return _on_purpose(error)
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return HandlerError(
                HANDLER_EXITED.code, f"the handler tried to end its process ({described(error)})"
            )
        if code := _http_code(error):
            return HandlerError(
                code.code, _plain(_http_described(error, code)), status_code=_status_of(error)
            )
        return _defect(error, described)
    except BaseException:  # noqa: BLE001 - the edge to users' code: any part of their exception may raise
        return HandlerError(HANDLER_ERROR.code, "the handler raised an exception that cannot be described")


def _status_of(error: BaseException) -> int | None:
    """The status of the answer that httpx's error tells of, if it has one."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def described(error: BaseException, most: int = MAX_MESSAGE_CHARS) -> str:
    """Type and message of an exception in at most `most` characters; never fails.

    A longer one ends in `...`. Secrets are taken out before it is cut. Of a group, its first exceptions are
    described too.
    """
    text, name = text_of(error), encodable_text(type(error).__name__)
    parts = [f"{name}: {text}" if text else name]
    # Its own type is asked: `isinstance` also asks for `__class__`, which may be a property that raises.
    if issubclass(type(error), BaseExceptionGroup):
        parts += [described(each, most) for each in _first_of_group(error)]
    return _cut_to(redacted("; ".join(parts)), most)


def _first_of_group(error: BaseException) -> list[BaseException]:
    try:
        return list(error.exceptions[:_MOST_OF_GROUP]) if isinstance(error, BaseExceptionGroup) else []
    except BaseException:  # noqa: BLE001 - the edge to users' code, as below
        return []


def text_of(error: BaseException) -> str:
    """The message of an exception as text that can be stored; never fails."""
    try:
        return _plain(str(error))
    except BaseException:  # noqa: BLE001 - the edge to users' code: their __str__ may raise anything, or exit
        return "(its message cannot be shown)"


def _on_purpose(error: HandlerError) -> HandlerError:
    """The error itself, or one with the same text in parts that can be stored.

    Without a code and a message that are text it is a defect of the handler.
    """
    code, message = _as_plain(getattr(error, "code", None)), _as_plain(getattr(error, "message", None))
    if not isinstance(code, str) or not isinstance(message, str) or not code:
        return _defect(error, lambda _, most: _cut_to(_wrong_parts(error, code, message), most))
    tried, called = getattr(error, "errors", None), getattr(error, "calls", None)
    errors = tuple(map(_stored_try, tried)) if isinstance(tried, list | tuple) else ()
    calls = tuple(filter(_is_call, called)) if isinstance(called, list | tuple) else ()
    is_text = type(error.code) is type(error.message) is str
    is_same = is_text and (error.code, error.message, tried, called) == (code, message, errors, calls)
    if is_same:
        return error
    return HandlerError(
        code,
        message,
        errors=errors,
        calls=calls,
        status_code=error.status_code,
        permanent=error.permanent,
        retry_after_s=error.retry_after_s,
    )


def _is_call(part: object) -> bool:
    return type(part) is ModelCall


def _as_plain(part: object) -> object:
    return _plain(part) if isinstance(part, str) else part


def _wrong_parts(error: HandlerError, code: object, message: object) -> str:
    wrong = [
        f"its {name} is {type(part).__name__}, not text"
        for name, part in (("code", code), ("message", message))
        if not isinstance(part, str)
    ]
    shown = " ".join(_shown(part) for part in (code, message) if part not in (None, ""))
    return f"{encodable_text(type(error).__name__)}: {shown} ({'; '.join(wrong) or 'its code is empty'})"


def _stored_try(tried: object) -> AttemptError:
    code, message = getattr(tried, "code", None), getattr(tried, "message", tried)
    after_s = getattr(tried, "after_s", None)
    return AttemptError(
        code=_plain(code) if isinstance(code, str) else HANDLER_ERROR.code,
        message=_shown(message),
        after_s=after_s if isinstance(after_s, int | float) and math.isfinite(after_s) else None,
    )


def _defect(error: BaseException, describe: Callable[[BaseException, int], str]) -> HandlerError:
    place = place_of(error)
    return HandlerError(HANDLER_ERROR.code, describe(error, MAX_MESSAGE_CHARS - len(place)) + place)


def _shown(part: object) -> str:
    """A part of an error that should be text."""
    try:
        return _plain(part if isinstance(part, str) else str(part))
    except BaseException:  # noqa: BLE001 - the edge to users' code: their __str__ may raise anything, or exit
        return f"({encodable_text(type(part).__name__)})"


def _plain(text: str) -> str:
    """Text of the type `str` itself, in UTF-8, and short enough to be searched for secrets."""
    return encodable_text(_cut_to("".join([text]), _MOST_SEARCHED_CHARS))


def _cut_to(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - len(CUT)]}{CUT}"


def place_of(error: BaseException) -> str:
    """` (my_handlers.py:42)`: the last line of the user's own files, or else of the package they installed.

    Lines of FlowEngine do not count; empty if there is no other. The file is named without its folder, since
    messages reach the callers of the API.
    """
    if isinstance(error, SyntaxError) and isinstance(error.filename, str) and error.filename:
        return _written(error.filename, error.lineno)
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith((_OURS, "<frozen "))
    ]
    own = [found for found in frames if not found[0].startswith(_installed())]
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
    return str(kind.__module__).split(".")[0] in ("httpx", "flowengine")


def _of_first_package(frames: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The frames of the first package that was called, in reverse order."""
    outside_python = [found for found in frames if not _is_standard(found[0])]
    if not outside_python:
        return []
    home = Path(outside_python[0][0]).parent
    return [found for found in reversed(outside_python) if Path(found[0]).is_relative_to(home)]


def _is_standard(name: str) -> bool:
    return name.startswith(_installed()[:2]) and not name.startswith(_installed()[2:])


@cache
def _installed() -> tuple[str, ...]:
    """The folders of Python itself, then those of what is installed."""
    import sysconfig  # with the system's own file of variables 0.2 MB, and only needed once a handler fails

    return tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _written(name: str, line: int | None) -> str:
    return f" ({encodable_text(Path(name).name[-_MAX_NAME_CHARS:])}:{line if isinstance(line, int) else '?'})"
