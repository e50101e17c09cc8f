"""Cancelling over HTTP: what is answered, and which bodies are refused before anything is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT: dict[str, Any] = {
    "name": "One",
    "nodes": [{"id": "a", "handler": "echo", "config": {"text": "x"}}],
}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def running(api: ServedApi) -> str:
    """An execution that has been triggered."""
    execution = api.client.post("/workflow", json=DOCUMENT).json()["execution_id"]
    api.client.post(f"/workflow/trigger/{execution}")
    return str(execution)


def test_a_running_execution_is_cancelled(api: ServedApi, running: str) -> None:
    """202, with where to look; again while it lasts."""
    for _ in range(2):
        answer = api.client.post(f"/workflows/{running}/cancel", json={"reason": "the wrong day"})
        assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{running}")
        assert answer.json() == {"execution_id": running, "status": "cancelling", "run": 1}
    assert api.store.stored[running].reason == "the wrong day"


def test_no_reason_need_be_given(api: ServedApi, running: str) -> None:
    """Nor a body."""
    assert api.client.post(f"/workflows/{running}/cancel").status_code == 202
    assert api.store.stored[running].reason is None


def test_what_has_ended_is_not_cancelled(api: ServedApi, running: str) -> None:
    """409 says how it has ended."""
    api.store.stored[running].status = "completed"
    answer = api.client.post(f"/workflows/{running}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def test_an_execution_that_nobody_knows_is_not_found(api: ServedApi) -> None:
    """As with every route."""
    answer = api.client.post(f"/workflows/{'0' * 27}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (404, "execution_not_found")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"why": "x"}, "unknown_field", "/why"),
        ({"reason": 5}, "wrong_type", "/reason"),
        ({"reason": "x" * 1001}, "out_of_range", "/reason"),
        (["x"], "wrong_type", ""),
    ],
)
def test_a_wrong_body_stops_nothing(
    api: ServedApi, running: str, body: object, code: str, pointer: str
) -> None:
    """422 with each problem and its place."""
    answer = api.client.post(f"/workflows/{running}/cancel", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert [(problem["code"], problem["pointer"]) for problem in answer.json()["problems"]] == [
        (code, pointer)
    ]
    assert api.store.stored[running].status == "running"


def test_a_body_that_cannot_be_read_stops_nothing(api: ServedApi, running: str) -> None:
    """400, with the place."""
    headers = {"Content-Type": "application/json"}
    answer = api.client.post(f"/workflows/{running}/cancel", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_document")
    assert api.store.stored[running].status == "running"
