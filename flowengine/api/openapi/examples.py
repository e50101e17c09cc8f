"""Examples for the OpenAPI document: a workflow, and the answers to it, made of the real structs.

What the API answers, word for word: a test asks it and compares.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.records import NodeError
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

ID: Final = "19b7ca98f2ef2c4d1b3a9e87f60"
CORRELATION_ID: Final = "order-4711"
_AT: Final = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def _after(seconds: float) -> datetime:
    return _AT + timedelta(seconds=seconds)


_REFUSED: Final = NodeError(
    "http_server_error",
    "GET https://api.example.com/users/123: answered 500 Internal Server Error (3 attempts)",
    attempts=3,
    errors=tuple(
        AttemptError(code="http_server_error", message="answered 500 Internal Server Error", after_s=after_s)
        for after_s in (0.21, 1.43, 3.66)
    ),
)
_INHERITED: Final = NodeError(
    "upstream_failed",
    "not run: 'fetch_data', which it depends on, failed",
    caused_by="fetch_data",
    attempts=0,
)
_FETCHED: Final = NodeView(
    id="fetch_data",
    handler="call_external_service",
    status="completed",
    attempt=1,
    dependencies=(),
    queued_at=_after(1.002),
    started_at=_after(1.004),
    finished_at=_after(1.25),
    error=None,
)
_ANALYSING: Final = NodeView(
    id="analyze_with_llm",
    handler="llm_service",
    status="running",
    attempt=1,
    dependencies=("fetch_data",),
    queued_at=_after(1.252),
    started_at=_after(1.254),
    finished_at=None,
    error=None,
)

CREATED: Final = CreatedView(
    execution_id=ID,
    name="Analyse a user",
    status="pending",
    created_at=_AT,
    correlation_id=CORRELATION_ID,
)
TRIGGERED: Final = TriggeredView(execution_id=ID, status="running", run=1)
RUNNING_STATUS: Final = ExecutionView(
    execution_id=ID,
    name="Analyse a user",
    status="running",
    run=1,
    created_at=_AT,
    started_at=_after(1),
    finished_at=None,
    correlation_id=CORRELATION_ID,
    counts=CountsView(total=2, pending=0, queued=0, running=1, completed=1, failed=0),
    nodes=(_FETCHED, _ANALYSING),
)
COMPLETED_STATUS: Final = replace(
    RUNNING_STATUS,
    status="completed",
    finished_at=_after(3.5),
    counts=CountsView(total=2, pending=0, queued=0, running=0, completed=2, failed=0),
    nodes=(_FETCHED, replace(_ANALYSING, status="completed", finished_at=_after(3.49))),
)
FAILED_STATUS: Final = replace(
    RUNNING_STATUS,
    status="failed",
    finished_at=_after(4.7),
    counts=CountsView(total=2, pending=0, queued=0, running=0, completed=0, failed=2),
    nodes=(
        replace(_FETCHED, status="failed", finished_at=_after(4.66), error=_REFUSED),
        replace(
            _ANALYSING,
            status="failed",
            attempt=0,
            queued_at=None,
            started_at=None,
            finished_at=_after(4.69),
            error=_INHERITED,
        ),
    ),
)
COMPLETED: Final = ResultsView(
    execution_id=ID,
    status="completed",
    results={
        "fetch_data": msgspec.Raw(
            b'{"status_code":200,"headers":{"content-type":"application/json"},'
            b'"data":{"id":123,"name":"Ada"}}'
        ),
        "analyze_with_llm": msgspec.Raw(
            b'{"content":"Ada has been a customer since 1843.","model":"gpt-4-0613",'
            b'"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42},"finish_reason":"stop"}'
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
    checks={"redis": "ok", "memory": "ok", "orchestrator": "ok", "worker (worker)": "ok"},
    queues={
        "orchestrator": QueueView(length=0, oldest_age_s=None, consumers=1),
        "worker": QueueView(length=3, oldest_age_s=0.4, consumers=2),
    },
)
DEGRADED: Final = HealthView(
    status="degraded",
    checks={
        "redis": "ok",
        "memory": "ok",
        "orchestrator": "ok",
        "worker (worker)": "none is running",
    },
    queues={
        "orchestrator": QueueView(length=0, oldest_age_s=None, consumers=1),
        "worker": QueueView(length=3, oldest_age_s=71.3, consumers=0),
    },
)
DOWN: Final = HealthView(status="down", checks={"redis": "does not answer"})

# MALFORMED and MISSPELT are answered what the problem table shows.
MALFORMED: Final = '{"name": "Analyse a user",\n "nodes": [}'
MISSPELT: Final = YAML.replace("llm_service", "llm_servce")
