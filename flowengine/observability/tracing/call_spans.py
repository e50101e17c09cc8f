"""The spans of calls that a node makes: of a request, or of a question to a language model."""

from __future__ import annotations

import secrets
import time
from types import TracebackType
from typing import Final

from flowengine.observability.tracing.spans import Span, Value, tracing
from flowengine.observability.tracing.trace_text import Trace, read_traceparent

TRACEPARENT: Final = "traceparent"
"""The header's name."""


class CallSpan:
    """A call under way: a with block that tells of it at its end.

    `within` is the traceparent of what the call is a part of; None: there is no trace, and nothing is told.
    What is called gets `traceparent`.
    """

    def __init__(self, within: str | None, name: str, attributes: dict[str, Value]) -> None:
        self.attributes = attributes
        self.error: str | None = None
        self._name = name
        self._trace: Trace | None = None if within is None else read_traceparent(within)
        self._span_id = secrets.token_hex(8) if self._trace is not None and tracing.is_on else ""
        self._began = 0

    @property
    def traceparent(self) -> str | None:
        """What is sent on. Where this process tells of no spans, it is that of what the call is a part of."""
        trace = self._trace
        return None if trace is None else trace.traceparent(self._span_id or trace.parent_id)

    def __enter__(self) -> CallSpan:
        self._began = time.time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        trace = self._trace
        if trace is None or not self._span_id or not trace.sampled:
            return
        if error is not None:
            self.attributes.setdefault("error.type", str(getattr(error, "code", type(error).__name__)))
        failed = self.error if error is None else self.error or type(error).__name__
        tracing.emit(
            Span(
                name=self._name,
                trace_id=trace.trace_id,
                span_id=self._span_id,
                parent_id=trace.parent_id,
                kind="client",
                start_ns=self._began,
                end_ns=time.time_ns(),
                attributes=self.attributes,
                error=failed,
            )
        )
