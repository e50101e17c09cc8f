"""`execution` in templates: what an execution says of itself. Pure."""

from __future__ import annotations

from flowengine.execution.records import ExecutionRecord
from flowengine.execution.views.executions import moment
from flowengine.jsonvalue import JsonValue
from flowengine.observability.tracing.trace_text import without_trace


def execution_fields(execution: str, record: ExecutionRecord, run: int) -> dict[str, JsonValue]:
    """The fields, by the names that `template.reference.EXECUTION_FIELDS` lists. `run` is the reader's."""
    return {
        "id": execution,
        "name": record.name,
        "run": run,
        "created_at": moment(record.created_at),
        "started_at": moment(record.started_at),
        "scheduled_at": None if record.scheduled_at is None else moment(record.scheduled_at),
        "correlation_id": without_trace(record.correlation_id),
        "labels": dict(record.labels),
        "version": record.version,
        "group_id": None,
    }
