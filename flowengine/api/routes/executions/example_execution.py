"""The execution that the examples of the OpenAPI document tell of, from its workflow to its errors.

Each route keeps its own examples and takes from here what several have in common. They are what the API
answers, word for word: a test asks it and compares.
"""

from __future__ import annotations

from typing import Final

from flowengine.api.edge import correlation_id
from flowengine.api.openapi.operation import JsonObject
from flowengine.execution.records import NodeError
from flowengine.execution.views import executions as views
from flowengine.plugin.errors import AttemptError

ID: Final = "19b7ca98f2ef2c4d1b3a9e87f60"
CORRELATION_ID: Final = correlation_id.EXAMPLE
NAME: Final = "Analyse a user"
LABELS: Final = {"team": "customers"}
WORKFLOW: Final[JsonObject] = {
    "name": NAME,
    "labels": {**LABELS},
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
CALL_FAILED: Final = NodeError(
    "http_server_error",
    "GET https://api.example.com/users/123: answered 500 Internal Server Error (3 attempts)",
    attempts=3,
    errors=tuple(
        AttemptError(code="http_server_error", message="answered 500 Internal Server Error", after_s=after_s)
        for after_s in (0.21, 1.43, 3.66)
    ),
    status_code=500,
)
UPSTREAM_FAILED: Final = NodeError(
    "upstream_failed",
    "not run: 'fetch_data', which it depends on, failed",
    caused_by="fetch_data",
    attempts=0,
)
_CREATED_AT_MS: Final = 1_767_323_045_678
"""2026-01-02T03:04:05.678Z"""


def moment(seconds: float) -> views.Moment:
    """The time so many seconds after the execution was created."""
    return views.moment(_CREATED_AT_MS + round(seconds * 1000))
