"""Server-sent events, as far as chat completions use them: from bytes to the documents inside. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html. Beyond it, services write `data:`
lines without an empty line between them, `error:` as a field, and JSON without a field. Each is read as it is
meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flowengine.handlers.http.answer import count_marks
from flowengine.handlers.llm.answers.tolerant_json import read_tolerant
from flowengine.jsonvalue import JsonValue, NotJsonError

MAX_EVENT_BYTES: Final = 10 * 1024 * 1024
# An event takes three lines at most, so that a long answer of 300,000 tokens is read.
MAX_LINES: Final = 1_000_000

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_FIELDS: Final = (b"data", b"event", b"id", b"retry", b"error")
_DONE: Final = b"[DONE]"


class EventTooLargeError(ValueError):
    """One event is larger than an answer may be."""


class BadEventError(ValueError):
    """An event is no JSON; the message says why."""


def begins_like_events(start: bytes) -> bool | None:
    """Whether a body that begins so is an event stream; None while too little of it has come."""
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(b":"):
        return True
    name, colon, _ = bare.partition(b":")
    if colon:
        return name in _FIELDS
    return None if any(field.startswith(bare) for field in _FIELDS) else False


class EventStream:
    """Reads one stream. Feed every piece through `documents`, then call `rest`."""

    def __init__(self, most_marks: int) -> None:
        """`most_marks`: the most brackets, commas, colons and quotes that one event may have."""
        self._most_marks = most_marks
        self.done = False
        """Whether `[DONE]` has come."""
        self._buffer = bytearray()
        self._seen = 0
        self._lines = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def documents(self, piece: bytes) -> Iterator[JsonValue]:
        """The documents that `piece` completes. Raises BadEventError, EventTooLargeError."""
        self._buffer += piece
        while not self.done:
            end = _LINE_END.search(self._buffer, self._seen)
            if end is None or (end[0] == b"\r" and end.end() == len(self._buffer)):
                self._seen = max(0, len(self._buffer) - 1)
                self._bound(len(self._buffer))
                return
            line = bytes(self._buffer[: end.start()])
            del self._buffer[: end.end()]
            self._seen = 0
            self._lines += 1
            if self._lines > MAX_LINES:
                raise EventTooLargeError(f"the answer has more than {MAX_LINES} lines")
            yield from self._line(line)

    def rest(self) -> Iterator[JsonValue]:
        """What the end of the body completes. Raises BadEventError."""
        line = bytes(self._buffer).rstrip(b"\r\n")
        self._buffer.clear()
        if line and not self.done:
            yield from self._line(line)
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[JsonValue]:
        if not line:
            yield from self._dispatched()
            return
        if line[:1] in (b"{", b"["):
            name, value = b"data", line
        else:
            name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
            value = value.removeprefix(b" ")
        if name == b"error":
            yield from self._dispatched()
            yield {"error": _said(value)}
        elif name == b"data":
            yield from self._data(value)

    def _data(self, value: bytes) -> Iterator[JsonValue]:
        if value.strip() == _DONE:
            yield from self._dispatched()
            self.done = True
            return
        if not self._pending:
            try:
                yield self._parsed(value)
            except NotJsonError:
                pass
            else:
                return
        self._pending.append(value)
        self._pending_bytes += len(value)
        self._bound(self._pending_bytes)

    def _dispatched(self) -> Iterator[JsonValue]:
        data = b"\n".join(self._pending).strip()
        self._pending.clear()
        self._pending_bytes = 0
        if data and not self.done:
            try:
                yield self._parsed(data)
            except NotJsonError as error:
                raise BadEventError(str(error)) from error

    def _parsed(self, data: bytes) -> JsonValue:
        if count_marks(data) > self._most_marks:
            raise EventTooLargeError(
                f"one event of the answer holds more than {self._most_marks} brackets, commas and quotes"
            )
        return read_tolerant(data)

    def _bound(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"one event of the answer is larger than {MAX_EVENT_BYTES} bytes")


def _said(value: bytes) -> JsonValue:
    try:
        return read_tolerant(value)
    except NotJsonError:
        return value.decode(errors="replace")
