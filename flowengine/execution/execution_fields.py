"""`execution` and `trigger` in templates: what an execution says of itself, and of its start. Pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict, replace

from flowengine.execution.records import ExecutionRecord
from flowengine.execution.requests.listing import trigger_of
from flowengine.execution.views.executions import moment
from flowengine.jsonvalue import JsonValue, decode
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


def trigger_fields(
    execution: str, record: ExecutionRecord, outputs: bytes | None = None, parent: str | None = None
) -> dict[str, JsonValue]:
    """The fields of `trigger`, all of them: those of the API's view, null where it has none.

    `outputs`: what is stored of what an end has given that has led to the execution, as JSON. `parent`: the
    execution that it is a child of. One that is about to begin counts as begun.
    """
    view = trigger_of(execution, replace(record, run=record.run or 1), parent)
    assert view is not None, "what has begun was started by something"
    fields = {name: None if value is msgspec.UNSET else value for name, value in asdict(view).items()}
    return {**fields, "outputs": None if outputs is None else decode(outputs)}
