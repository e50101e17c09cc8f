"""Examples for the OpenAPI document: a workflow, and the answers to it, made of the real structs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from flowengine.execution.model import NodeError
from flowengine.execution.views import (
    CountsView,
    CreatedView,
    ExecutionView,
    HealthView,
    NodeView,
    QueueView,
    ResultsView,
    TriggeredView,
)
from flowengine.plugin.errors import AttemptError
from flowengine.workflow.problems import Problem

YAML: Final = """\
name: Analyse a user
nodes:
  - id: fetch_data
    handler: call_external_service
    config: {url: "https://api.example.com/users/123"}
  - id: analyze_with_llm
    handler: llm_service
    config:
      model: gpt-4
      prompt: "Analyze this user data: {{ fetch_data.result }}"
    dependencies: [fetch_data]
    timeout_seconds: 120
"""
WORKFLOW: Final = {
    "name": "Analyse a user",
    "nodes": [
        {
            "id": "fetch_data",
            "handler": "call_external_service",
            "config": {"url": "https://api.example.com/users/123"},
        },
        {
            "id": "analyze_with_llm",
            "handler": "llm_service",
            "config": {"model": "gpt-4", "prompt": "Analyze this user data: {{ fetch_data.result }}"},
            "dependencies": ["fetch_data"],
            "timeout_seconds": 120,
        },
    ],
}

ARITHMETIC: Final = {
    "name": "Add and shout",
    "nodes": [
        {"id": "sum", "handler": "compute", "config": {"operation": "add", "a": 40, "b": 2}},
        {
            "id": "shout",
            "handler": "transform",
            "config": {"input": "the sum is {{ sum.result }}", "transform_type": "uppercase"},
            "dependencies": ["sum"],
        },
    ],
}
ARITHMETIC_YAML: Final = """\
name: Add and shout
nodes:
  - id: sum
    handler: compute
    config: {operation: add, a: 40, b: 2}
  - id: shout
    handler: transform
    config: {input: "the sum is {{ sum.result }}", transform_type: uppercase}
    dependencies: [sum]
"""

ID: Final = "01JD2Q8Z5V7W9X3Y4Z6A8B0C1D"
CORRELATION_ID: Final = "order-4711"
_AT: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_REFUSED: Final = NodeError(
    "http_status",
    "GET https://api.example.com/users/123 answered 500 three times",
    attempts=3,
    errors=(AttemptError(code="http_status", message="500 Internal Server Error", after_s=0.2),),
)
_INHERITED: Final = NodeError(
    "upstream_failed", "'fetch_data', which this node depends on, failed", caused_by="fetch_data"
)

CREATED: Final = CreatedView(
    execution_id=ID,
    name="Analyse a user",
    status="pending",
    created_at=_AT,
    correlation_id=CORRELATION_ID,
)
TRIGGERED: Final = TriggeredView(execution_id=ID, status="running", run=1)
STATUS: Final = ExecutionView(
    execution_id=ID,
    name="Analyse a user",
    status="failed",
    run=1,
    created_at=_AT,
    started_at=_AT + timedelta(seconds=1),
    finished_at=_AT + timedelta(seconds=5),
    correlation_id=CORRELATION_ID,
    counts=CountsView(total=2, pending=0, queued=0, running=0, completed=0, failed=2),
    nodes=(
        NodeView(
            id="fetch_data",
            handler="call_external_service",
            status="failed",
            attempt=1,
            dependencies=(),
            queued_at=_AT + timedelta(seconds=1),
            started_at=_AT + timedelta(seconds=1),
            finished_at=_AT + timedelta(seconds=5),
            error=_REFUSED,
        ),
        NodeView(
            id="analyze_with_llm",
            handler="llm_service",
            status="failed",
            attempt=0,
            dependencies=("fetch_data",),
            queued_at=None,
            started_at=None,
            finished_at=_AT + timedelta(seconds=5),
            error=_INHERITED,
        ),
    ),
)
COMPLETED: Final = ResultsView(
    execution_id=ID,
    status="completed",
    results={
        "fetch_data": msgspec.Raw(b'{"status_code":200,"headers":{},"data":{"id":123,"name":"Ada"}}'),
        "analyze_with_llm": msgspec.Raw(
            b'{"content":"Ada has been a customer since 1843.","model":"gpt-4",'
            b'"usage":{"total_tokens":42},"finish_reason":"stop"}'
        ),
    },
    errors={},
)
FAILED: Final = ResultsView(
    execution_id=ID,
    status="failed",
    results={},
    errors={"fetch_data": _REFUSED, "analyze_with_llm": _INHERITED},
)
HEALTHY: Final = HealthView(
    status="ok",
    checks={"redis": "ok"},
    queues={
        "orchestrator": QueueView(length=0, oldest_age_s=None, consumers=1),
        "worker": QueueView(length=3, oldest_age_s=0.4, consumers=2),
    },
)
DOWN: Final = HealthView(status="down", checks={"redis": "connection refused"})
PROBLEMS: Final = (
    Problem(
        code="unknown_handler",
        pointer="/nodes/1/handler",
        message="no handler called 'llm_servce'; did you mean 'llm_service'? See: flowengine handlers",
        line=7,
        column=14,
    ),
)
