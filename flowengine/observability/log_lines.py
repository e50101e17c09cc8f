"""Turns an event's fields into one line of text.

Decides the order of the fields and how values are written that JSON cannot carry. No value can forge a
second line or move a terminal's cursor.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from flowengine.plaintext import plain_text

_FIRST = ("timestamp", "level", "service", "event", "correlation_id", "execution_id", "node_id", "attempt")
_BLOCKS = frozenset({"exception", "stack"})
MAX_TRACEBACK_CHARS = 20_000
_encoder = msgspec.json.Encoder(enc_hook=repr)


def json_line(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    """The event as one line of JSON, the fields that every line has first."""
    ordered = {name: event.pop(name) for name in _FIRST if name in event}
    ordered.update(event)
    try:
        return _encoder.encode(ordered).decode()
    except Exception:  # noqa: BLE001 - the edge to users' code: a value's own __repr__ may raise anything
        return json.dumps({str(name): plain(value) for name, value in ordered.items()})


def plain(value: object) -> object:
    """A text, a number or null; anything else as Python shows it. Never fails."""
    if value is None or isinstance(value, str | int | float):
        return value
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - the edge to users' code, as above
        return f"(a {type(value).__name__} that cannot be shown)"


def escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event with the control characters of its texts written as escapes. Tracebacks keep their lines."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = plain_text(value, keep_lines=name in _BLOCKS)
    return event


def console_renderer(*, colors: bool) -> Callable[[WrappedLogger, str, EventDict], str]:
    """The processor that writes readable lines for a terminal."""
    return structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=32, exception_formatter=_write_traceback)


def traceback_text(exc_info: ExcInfo) -> str:
    """The traceback, without its middle if it is long: it may quote what anyone has sent."""
    sink = io.StringIO()
    try:
        structlog.dev.plain_traceback(sink, exc_info)
    except Exception:  # noqa: BLE001 - the edge to users' code: Python asks an exception for its class, its notes
        sink = io.StringIO(f"{exc_info[0].__name__}: (its traceback cannot be shown)")
    text = sink.getvalue().strip("\n")
    if len(text) > MAX_TRACEBACK_CHARS:
        half = MAX_TRACEBACK_CHARS // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
    return text


def _write_traceback(sink: TextIO, error: ExcInfo) -> None:
    sink.write("\n" + plain_text(traceback_text(error), keep_lines=True))
