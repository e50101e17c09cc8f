"""What the span of an execution tells: read by the process that has ended it."""

from __future__ import annotations

from typing import Final

from flowengine.observability.tracing.spans import Ended, Span, Value
from flowengine.observability.tracing.trace_text import Trace, trace_in, without_trace
from flowengine.store.state import RedisState

_NS_PER_MS: Final = 1_000_000


class ExecutionSpans:
    """Reads the records of executions that have ended, over connections of its own thread."""

    def __init__(self, state: RedisState) -> None:
        self._state = state

    def span_of(self, ended: Ended) -> Span | None:
        """The span of the run that has ended so. None: there is no trace, the execution is gone, or began
        another run.

        Raises StoreUnavailableError.
        """
        execution = ended.execution
        plan, record = self._state.plans_and_executions([execution])[execution]
        trace = None if record is None else trace_in(record.correlation_id)
        if record is None or trace is None or not trace.sampled:
            return None
        if record.finished_at != ended.at:
            return None  # another run has begun meanwhile, and has this one's times no more
        began = record.started_at or record.created_at  # one that was cancelled in its line has never begun
        attributes: dict[str, Value] = {
            "flowengine.execution.id": execution,
            "flowengine.workflow": record.name,
            "flowengine.run": record.run,
            "flowengine.status": ended.status,
            "flowengine.nodes": record.total,
            "flowengine.correlation_id": without_trace(record.correlation_id),
        }
        if record.version is not None:
            attributes["flowengine.version"] = record.version
        lineage = None if plan is None else plan.lineage
        if lineage is not None:
            attributes["flowengine.parent.id"] = lineage.parent
        return Span(
            name=f"workflow {record.name}",
            trace_id=trace.trace_id,
            span_id=trace.execution_span(execution, record.run),
            parent_id=trace.parent_id if lineage is None else self._span_around(trace, lineage.parent),
            kind="internal",
            start_ns=began * _NS_PER_MS,
            end_ns=max(began, ended.at) * _NS_PER_MS,
            attributes=attributes,
            error=ended.status if ended.status in ("failed", "cancelled") else None,
        )

    def _span_around(self, trace: Trace, parent: str) -> str:
        """The span of the parent's run; that of the trace's beginning if the parent is gone."""
        record = self._state.read_execution(parent)
        return trace.parent_id if record is None else trace.execution_span(parent, record.run)
