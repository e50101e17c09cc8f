"""What every refusal of the API must look like."""

from __future__ import annotations

import httpx

PROBLEM_KEYS = {"type", "title", "status", "detail", "instance", "code", "correlation_id"}


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The response is a complete problem document with this status and code; returns it."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, object] = response.json()
    assert document.keys() - {"problems"} == PROBLEM_KEYS
    assert (document["status"], document["code"]) == (status, code)
    assert document["correlation_id"] == response.headers["X-Correlation-ID"]
    assert "Traceback" not in response.text
    return document
