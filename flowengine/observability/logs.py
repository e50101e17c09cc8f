"""One log of one process: structlog's events and the standard library's records, in one form.

Lines go to stderr: readable text on a terminal, JSON elsewhere. Fields bound with
`structlog.contextvars` are on every line. An event below the level costs one attribute look-up.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from flowengine.observability.log_context import merge_bound
from flowengine.observability.log_lines import console_renderer, escape_controls, json_line, traceback_text
from flowengine.observability.node_output import current_output
from flowengine.observability.printed_text import hide_in_prints
from flowengine.observability.tracing.trace_text import MARK, trace_in, without_trace

if TYPE_CHECKING:
    from flowengine.settings.model import LogFormat, LogLevel

Redactor: TypeAlias = Callable[[str], str]

_LEVELS: Final[dict[LogLevel, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_STAMINA_FIELDS: Final = frozenset(
    ("callable", "args", "kwargs", "retry_num", "caused_by", "wait_for", "waited_so_far")
)
# httpx logs every request's URL, httpcore every header: query strings and headers hold secrets.
# dramatiq tells of every start and stop of its threads, in sentences.
_NEVER_BELOW_WARNING: Final = ("httpx", "httpcore", "dramatiq")


class _Redaction:
    """Holds the redactor. The last of all processors, so that it sees the whole line."""

    redact: Redactor | None = None

    def __call__(self, _: WrappedLogger, __: str, line: Any) -> str:  # the line: the renderer's result
        return redacted(line)


_redaction = _Redaction()


def set_redactor(redact: Redactor | None) -> None:
    """From now on every finished line passes through `redact`. None: lines stay as they are."""
    _redaction.redact = redact


def redacted(text: str) -> str:
    """The text as the redactor leaves it that is set now."""
    return text if _redaction.redact is None else _redaction.redact(text)


def redact_prints() -> None:
    """From now on what this process prints passes through the redactor too. `configure_logs` comes first."""
    hide_in_prints(redacted)


def log_uncaught_errors() -> None:
    """From now on an error that ends a thread of this process is logged as any other.

    Python would write the traceback to standard error as it is, and it may quote a secret.
    """
    threading.excepthook = _log_uncaught


def _log_uncaught(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is None or isinstance(found.exc_value, SystemExit):
        return
    thread = None if found.thread is None else found.thread.name
    structlog.stdlib.get_logger().error("thread.crashed", thread=thread, exc_info=found.exc_value)


def configure_logs(
    service: str,
    *,
    level: LogLevel = "info",
    log_format: LogFormat = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to `stream` (default stderr), each line naming `service`.

    Call it once, when a process starts: loggers that have been used keep an earlier configuration.
    `auto` is `console` on a terminal, else `json`. Colours follow NO_COLOR (https://no-color.org).
    """
    sink = sys.stderr if stream is None else stream
    terminal = sink.isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    shared = _shared(service, console=console)
    final = _final(console=console, colors=terminal and not os.environ.get("NO_COLOR"))
    lines = _Lines(sink)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(shared, final, sink, _LEVELS[level])


def _shared(service: str, *, console: bool) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    clock = structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console)
    return [
        structlog.contextvars.merge_contextvars,
        merge_bound,
        _name_trace,
        _reword_stamina,
        add_service,
        structlog.processors.add_log_level,
        clock,
        _in_three,
        _keep_for_node,
    ]


def _name_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event, with the trace that stands behind its correlation id in a field of its own."""
    text = event.get("correlation_id")
    if isinstance(text, str) and MARK in text:
        trace = trace_in(text)
        event["correlation_id"] = without_trace(text)
        event["trace_id"] = "" if trace is None else trace.trace_id
    return event


def _in_three(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event, with type, value and traceback of its exception.

    structlog would ask the exception itself for its class, which may be a property of its own that raises.
    """
    found = event.get("exc_info")
    if issubclass(type(found), BaseException):
        event["exc_info"] = _exc_info(found)
    return event


def _keep_for_node(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event as it is; the node whose handler logs it keeps it too."""
    output = current_output()
    if output is not None:
        found = event.get("exc_info")
        output.logged(event, None if not found else redacted(traceback_text(_exc_info(found))))
    return event


def _exc_info(found: object) -> Any:  # an ExcInfo; while no exception is handled, three times None
    if issubclass(type(found), BaseException):
        return type(found), found, BaseException.__dict__["__traceback__"].__get__(found)
    return found if isinstance(found, tuple) else sys.exc_info()


def _reword_stamina(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Stamina's event in our words: not the name of a code block, and not arguments, which may be secrets."""
    if event.get("event") != "stamina.retry_scheduled":
        return event
    kept = {name: value for name, value in event.items() if name not in _STAMINA_FIELDS}
    return {
        **kept,
        "event": "call.retry_scheduled",
        "attempt": event.get("retry_num", 0) + 1,
        "delay_s": event.get("wait_for"),
        "error": event.get("caused_by"),
    }


def _final(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        return [escape_controls, console_renderer(colors=colors), _redaction]
    return [structlog.processors.ExceptionRenderer(traceback_text), json_line, _redaction]


def _route_standard_logging(
    shared: list[Processor], final: list[Processor], sink: TextIO, level: int
) -> None:
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _NEVER_BELOW_WARNING:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class _Lines:
    """Writes each line whole. If the reader has gone, the line is lost and the logged work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def msg(self, line: str) -> None:
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            pass

    log = debug = info = warning = warn = error = critical = fatal = exception = failure = msg
