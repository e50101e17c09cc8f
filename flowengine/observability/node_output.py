"""What a handler says while it runs belongs to its node: lines, progress, text that it sends on.

What runs a handler says so with `heard_by`. What is logged or printed inside is kept for the node, also on an
event loop and in `asyncio.to_thread`, which hand context variables on. A thread that a handler starts belongs
to no node. Nothing here waits or talks to anyone: lines lie in bounded memory until they are taken.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import msgspec

from flowengine.observability.log_lines import plain
from flowengine.plaintext import encodable_text

MOST_LINES: Final = 1000
MOST_BYTES: Final = 256 * 1024
UNPACED_LINES: Final = 200
LINES_A_PAUSE: Final = 4
PAUSE_S: Final = 0.0001
"""A node that says more than so many lines rests after each few. It would keep the interpreter's lock, and
its neighbours take milliseconds to get that back."""
MOST_TEXT_CHARS: Final = 64 * 1024
"""What lies in memory for one node; the newest is kept."""

LINE_CHARS: Final = 6000
"""A longer line is cut."""
LINE_BYTES: Final = 8 * 1024
FIELD_CHARS: Final = 1000
MESSAGE_CHARS: Final = 500
TRACEBACK_CHARS: Final = 6000

_OUR_FIELDS: Final = frozenset(
    (
        "event",
        "level",
        "timestamp",
        "service",
        "correlation_id",
        "trace_id",
        "span_id",
        "execution_id",
        "node_id",
        "attempt",
        "handler",
        "exc_info",
    )
)

_encode = msgspec.json.Encoder().encode

HEARD: Final[ContextVar[NodeOutput | None]] = ContextVar("node_output", default=None)
"""`heard_by` sets it; what runs many handlers sets it by itself, as that costs less than a block."""


class Step(NamedTuple):
    """How far a node is."""

    at: int
    done: float
    total: float | None
    message: str | None


class Taken(NamedTuple):
    """What was said since the last time. `lines`: each as JSON."""

    lines: tuple[bytes, ...]
    dropped: int
    step: Step | None
    text: str
    text_at: int
    text_dropped: bool


class NodeOutput:
    """What one delivery of a node says. Thread-safe. `now_ms`: the time when it began, since the epoch."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._began = time.monotonic()
        self._guard = threading.Lock()
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._said = 0
        self._begun: dict[str, str] | None = None
        self._text: deque[str] | None = None
        self._text_chars = 0
        self._text_dropped = False
        self._step: Step | None = None
        self._closed = False

    def now(self) -> int:
        """The time in milliseconds since the epoch, by the clock that the node began with."""
        return self._now_ms + int((time.monotonic() - self._began) * 1000)

    @property
    def is_over(self) -> bool:
        """Whether all has been taken, and nothing is kept any more."""
        if not self._closed:
            return False
        return not (self._lines or self._dropped or self._text or self._step or self._begun)

    def logged(self, event: Mapping[str, Any], exception: str | None = None) -> None:
        """Keep what was logged: a dotted event with its fields, and a traceback."""
        message = _shortened(str(plain(event.get("event", ""))))
        fields = {_text(str(name)): _value(value) for name, value in event.items() if not _is_ours(str(name))}
        if exception is not None:
            fields["exception"] = _last_part(_text(exception))
        at, level = self.now(), str(event.get("level", "info"))
        line = _encode((at, "log", level, message, fields))
        if len(line) > LINE_BYTES:
            left_out = f"{len(fields)} fields were left out: they are too long"
            line = _encode((at, "log", level, message, {"cut": left_out}))
        self._add(line)

    def printed(self, source: str, text: str) -> None:
        """Keep what was printed, as soon as its line ends."""
        with self._guard:
            begun = self._begun = self._begun or {}
            *lines, rest = (begun.pop(source, "") + text).split("\n")
            if len(rest) > LINE_CHARS:
                lines.append(rest)
                rest = ""
            if rest:
                begun[source] = rest
        at = self.now()
        for line in lines:
            self._add(_encode((at, source, None, _shortened(line), {})))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Say how far it is. Raises TypeError, ValueError for what is no number."""
        for number in (done, total):
            if number is not None and not math.isfinite(number):
                raise ValueError("progress takes finite numbers")
        shown = None if message is None else _shortened(message, MESSAGE_CHARS)
        self._step = Step(self.now(), done, total, shown)

    def emit(self, text: str) -> None:
        """Send text on to those who watch. Raises TypeError for what is no text."""
        if not isinstance(text, str):
            raise TypeError(f"emit takes text, not {type(text).__name__}")
        with self._guard:
            if self._closed or not text:
                return
            if self._text is None:
                self._text = deque()
            self._text.append(_text(text[:MOST_TEXT_CHARS]))
            self._text_dropped |= len(text) > MOST_TEXT_CHARS
            self._text_chars += len(self._text[-1])
            while self._text_chars > MOST_TEXT_CHARS and len(self._text) > 1:
                self._text_chars -= len(self._text.popleft())
                self._text_dropped = True

    def repeat(self, said: Taken) -> None:
        """Keep what was said elsewhere, to another output of the same node."""
        for line in said.lines:
            self._add(line)
        self._dropped += said.dropped
        if said.step is not None:
            self._step = said.step
        if said.text:
            self.emit(said.text)
            self._text_dropped |= said.text_dropped

    def take(self, *, last: bool = False) -> Taken | None:
        """What was said since the last time; None if nothing was. `last`: nothing is kept from now on."""
        if not (self._lines or self._dropped or self._text or self._step or (last and self._begun)):
            self._closed |= last
            return None
        rests: list[tuple[str, str]] = []
        if last:
            with self._guard:
                rests, self._begun = list((self._begun or {}).items()), None
        for source, rest in rests:
            self._add(_encode((self.now(), source, None, _shortened(rest), {})))
        with self._guard:
            lines, self._lines = self._lines, deque()
            dropped, self._dropped, self._size = self._dropped, 0, 0
            text, self._text, self._text_chars = self._text, None, 0
            text_dropped, self._text_dropped = self._text_dropped, False
            step, self._step = self._step, None
            self._closed |= last
        return Taken(tuple(lines), dropped, step, "".join(text or ()), self.now(), text_dropped)

    def _add(self, line: bytes) -> None:
        with self._guard:
            if self._closed:
                return
            self._lines.append(line)
            self._size += len(line)
            while len(self._lines) > MOST_LINES or self._size > MOST_BYTES:
                self._size -= len(self._lines.popleft())
                self._dropped += 1
            self._said += 1
        if self._said > UNPACED_LINES and self._said % LINES_A_PAUSE == 0 and not _is_in_event_loop():
            time.sleep(PAUSE_S)


def _is_in_event_loop() -> bool:
    """Whether a rest here would hold up all that runs in the loop."""
    loops = sys.modules.get("asyncio")  # where one runs it is loaded
    if loops is None:
        return False
    try:
        loops.get_running_loop()
    except RuntimeError:
        return False
    return True


def heard_by(output: NodeOutput | None) -> AbstractContextManager[None]:
    """What is logged or printed while the block runs is kept in `output`."""
    return _Heard(output)


class _Heard(AbstractContextManager[None]):
    __slots__ = ("_output", "_token")

    def __init__(self, output: NodeOutput | None) -> None:
        self._output = output

    def __enter__(self) -> None:
        self._token = HEARD.set(self._output)

    def __exit__(self, *error: object) -> None:
        HEARD.reset(self._token)


def current_output() -> NodeOutput | None:
    """The output of the node whose handler runs here."""
    return HEARD.get()


def _is_ours(name: str) -> bool:
    return name in _OUR_FIELDS or name.startswith("_")


def _value(value: object) -> str | int | float | bool | None:
    """A field's value as JSON can carry it."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    return _shortened(str(plain(value)), FIELD_CHARS)


_text: Final = encodable_text


def _shortened(text: str, most: int = LINE_CHARS) -> str:
    return _text(text) if len(text) <= most else f"{_text(text[:most])}... ({len(text)} characters)"


def _last_part(text: str) -> str:
    return text if len(text) <= TRACEBACK_CHARS else f"... {text[-TRACEBACK_CHARS:]}"
