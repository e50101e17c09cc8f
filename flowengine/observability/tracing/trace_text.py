"""The trace of an execution, in the one text that its messages and its record carry in any case.

A caller's correlation id is printable ASCII. With traces, MARK and the trace stand behind it, so that no
message and no record has a field more, and without traces nothing is different. What people see is
`without_trace`.

Span ids are made of what they are about: the process that ends a span is seldom the one that began it, and no
id is lost with a process that is killed. W3C Trace Context, https://www.w3.org/TR/trace-context/, version 00.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

MARK: Final = "\x1f"
"""No correlation id has it."""

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


class Trace(msgspec.Struct, frozen=True):
    """The trace that an execution belongs to. `parent_id`: the span of who has asked for it, or nothing."""

    trace_id: str
    parent_id: str = ""
    sampled: bool = True

    @property
    def text(self) -> str:
        """As it stands behind a correlation id."""
        return f"{self.trace_id}-{self.parent_id}-{int(self.sampled)}"

    def traceparent(self, span_id: str) -> str:
        """The header that names this span as the parent."""
        return f"00-{self.trace_id}-{span_id}-0{int(self.sampled)}"

    def execution_span(self, execution: str, run: int) -> str:
        """The span of one run of an execution."""
        return _span_id(self.trace_id, execution, run)

    def delivery_span(
        self, execution: str, run: int, node: str, dispatch: int, delivery: int, item: int
    ) -> str:
        """The span of one delivery of a node, or of a try of one of its items. `item`: -1 if it is none."""
        return _span_id(self.trace_id, execution, run, node, dispatch, delivery, item)


def _span_id(*parts: object) -> str:
    text = "\0".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def with_trace(correlation_id: str, trace: Trace | None) -> str:
    """The text that messages and records carry."""
    return correlation_id if trace is None else f"{correlation_id}{MARK}{trace.text}"


def without_trace(text: str) -> str:
    """The caller's correlation id alone."""
    return text.partition(MARK)[0] if MARK in text else text


def trace_in(text: str) -> Trace | None:
    """The trace behind a correlation id, if there is one."""
    if MARK not in text:
        return None
    trace_id, parent_id, sampled = text.partition(MARK)[2].split("-")
    return Trace(trace_id, parent_id, sampled == "1")


def read_traceparent(header: str) -> Trace | None:
    """The trace of a `traceparent` header; None for one that the standard has receivers ignore."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or parent_id == _NO_SPAN:
        return None
    return Trace(trace_id, parent_id, bool(int(flags, 16) & 1))
