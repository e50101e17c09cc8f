"""From an event's fields to one line of text.

Decides the order of fields, how values that JSON cannot carry are written, and that no value can
forge a second line or move a terminal's cursor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

_FIRST = ("timestamp", "level", "service", "event", "correlation_id", "execution_id", "node_id", "attempt")
_BLOCKS = frozenset({"exception", "stack"})
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_encoder = msgspec.json.Encoder(enc_hook=repr)


def json_line(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    """The event as one line of JSON, the fields that every line has first."""
    ordered = {name: event.pop(name) for name in _FIRST if name in event}
    ordered.update(event)
    try:
        return _encoder.encode(ordered).decode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps({str(name): _plain(value) for name, value in ordered.items()})


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else repr(value)


def escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Text values without control characters; tracebacks keep their lines."""
    for name, value in event.items():
        if isinstance(value, str) and name not in _BLOCKS and not value.isprintable():
            event[name] = value.translate(_CONTROLS)
    return event


def console_renderer(*, colors: bool) -> Callable[[WrappedLogger, str, EventDict], str]:
    """Readable lines for a terminal."""
    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=32, exception_formatter=structlog.dev.plain_traceback
    )
