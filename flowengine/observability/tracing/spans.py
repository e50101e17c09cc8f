"""The spans that this process ends, on their way to whatever exports them.

`tracing.sink` is None while traces are off: who has a span to tell looks at `tracing.is_on` first.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
import structlog

from flowengine.errors import FlowEngineError
from flowengine.observability.tracing.trace_text import Trace

log = structlog.get_logger("flowengine.tracing")

Kind: TypeAlias = Literal["internal", "consumer", "client"]
Value: TypeAlias = str | int | float | bool

LAST_S: Final = 1.0
"""So long the spans of executions that have ended are told when the process ends."""

WAITING_AT_MOST: Final = 10_000
"""Ended executions whose spans are to be told; more are left out, and that is logged once."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span that has ended. Times in nanoseconds since the epoch. `error`: why it failed, if it did."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: Kind
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = {}
    error: str | None = None


class Sink(Protocol):
    """Where spans go."""

    def emit(self, span: Span) -> None:
        """Take it. Never waits, never raises."""

    def samples(self, trace_id: str) -> bool:
        """Whether a trace that begins here is recorded."""

    def close(self) -> None:
        """Send what has been taken. Waits for a few seconds at most."""


class Ended(msgspec.Struct, frozen=True):
    """A run of an execution has ended, by a transaction of this process. `at` in milliseconds since the
    epoch."""

    execution: str
    status: str
    at: int


class _Tracing:
    """What this process does about traces."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self._ended: queue.Queue[Ended | None] | None = None
        self._telling: threading.Thread | None = None
        self._is_full = False

    @property
    def is_on(self) -> bool:
        """Whether spans are told."""
        return self.sink is not None

    def start(self, sink: Sink, span_of: Callable[[Ended], Span | None] | None = None) -> None:
        """From now on spans go there. `span_of` reads what is to be told of an execution; it may wait."""
        self.sink = sink
        if span_of is not None:
            self._ended = queue.Queue(WAITING_AT_MOST)
            self._telling = threading.Thread(
                target=self._tell, args=(self._ended, span_of), daemon=True, name="spans"
            )
            self._telling.start()

    def stop(self) -> None:
        """Traces are off; what has been told is sent, and what can be told in a second."""
        waiting, telling = self._ended, self._telling
        self._ended = self._telling = None
        if waiting is not None and telling is not None:
            with suppress(queue.Full):
                waiting.put_nowait(None)
                telling.join(LAST_S)
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.close()

    def begin(self) -> Trace | None:
        """A trace that begins here; None while traces are off."""
        if self.sink is None:
            return None
        trace_id = secrets.token_hex(16)
        return Trace(trace_id, sampled=self.sink.samples(trace_id))

    def emit(self, span: Span) -> None:
        """Tell of a span."""
        if self.sink is not None:
            self.sink.emit(span)

    def has_ended(self, ended: Ended) -> None:
        """Tell of an execution, whose record another thread reads for that."""
        if self._ended is None:
            return
        try:
            self._ended.put_nowait(ended)
        except queue.Full:
            if not self._is_full:
                self._is_full = True
                log.warning("spans.left_out", reason="executions end faster than their spans can be told")

    def _tell(self, waiting: queue.Queue[Ended | None], span_of: Callable[[Ended], Span | None]) -> None:
        while (ended := waiting.get()) is not None:
            try:
                span = span_of(ended)
            except (FlowEngineError, ValueError) as error:  # Redis is away, or a newer version wrote it
                log.warning("span.left_out", execution_id=ended.execution, error=str(error))
                continue
            if span is not None:
                self.emit(span)


tracing: Final = _Tracing()
"""Of this process."""
