"""What a worker's log lines and spans say a task is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import RunNode
from flowengine.execution.reports import Cancelled, Failed, Outcome
from flowengine.observability.tracing.spans import Span, Value, tracing
from flowengine.observability.tracing.trace_text import MARK, Trace, trace_in, without_trace

_NS_PER_MS: Final = 1_000_000


def identity_of(task: RunNode, delivery: int = 0) -> dict[str, str | int]:
    """The fields of log lines. `delivery`: 0 where it is not known yet; then no span is named."""
    said: dict[str, str | int] = {
        "execution_id": task.execution,
        "node_id": task.node,
        "attempt": task.attempt,
        "correlation_id": task.correlation_id,
    }
    if MARK in task.correlation_id:
        trace = trace_in(task.correlation_id)
        assert trace is not None
        said |= {"correlation_id": without_trace(task.correlation_id), "trace_id": trace.trace_id}
        if delivery:
            said["span_id"] = _span_id(trace, task, delivery)
    return said


def traceparent_of(task: RunNode, delivery: int) -> str | None:
    """The header that makes a call a part of this delivery's span; None without a trace."""
    trace = trace_in(task.correlation_id)
    return None if trace is None else trace.traceparent(_span_id(trace, task, delivery))


def tell_delivery(hand: TaskInHand, outcome: Outcome, ended_at: int) -> None:
    """Tell of the span of a delivery that was reported. `ended_at` in milliseconds since the epoch."""
    task = hand.task
    trace = trace_in(task.correlation_id) if tracing.is_on else None
    if trace is None or not trace.sampled:
        return
    tracing.emit(
        Span(
            name=f"{task.handler} {task.node}",
            trace_id=trace.trace_id,
            span_id=_span_id(trace, task, hand.delivery),
            parent_id=trace.execution_span(task.execution, task.run),
            kind="consumer",
            start_ns=hand.started_at * _NS_PER_MS,
            end_ns=max(hand.started_at, ended_at) * _NS_PER_MS,
            attributes=_attributes(hand, outcome),
            error=_error(outcome),
        )
    )


def _span_id(trace: Trace, task: RunNode, delivery: int) -> str:
    item = -1 if task.item is None else task.item.index
    return trace.delivery_span(task.execution, task.run, task.node, task.dispatch, delivery, item)


def _attributes(hand: TaskInHand, outcome: Outcome) -> Mapping[str, Value]:
    task = hand.task
    said: dict[str, Value] = {
        "flowengine.execution.id": task.execution,
        "flowengine.run": task.run,
        "flowengine.node.id": task.node,
        "flowengine.handler": task.handler,
        "flowengine.attempt": task.attempt,
        "flowengine.delivery": hand.delivery,
        "flowengine.outcome": type(outcome).__name__.lower(),
        "flowengine.waited_s": round(hand.waited_s, 3),
    }
    if task.item is not None:
        said["flowengine.item.index"] = task.item.index
    if isinstance(outcome, Failed):
        said["error.type"] = str(outcome.error.code)
    return said


def _error(outcome: Outcome) -> str | None:
    if isinstance(outcome, Failed):
        return outcome.error.message
    return "cancelled" if isinstance(outcome, Cancelled) else None
