"""Ending a node over HTTP: what is answered, and which bodies are refused before anything is decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from flowengine.execution.rules.steering.overruling import Complete, Fail, Overruling, Skip, Word
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
    return str(api.client.post("/workflow?trigger=true", json=DOCUMENT).json()["execution_id"])


@pytest.mark.parametrize(
    ("said", "body", "status", "word"),
    [
        ("skip", None, "skipped", Skip()),
        ("complete", {"result": {"n": [1]}}, "completed", Complete(msgspec.Raw(b'{"n":[1]}'))),
        ("complete", {"result": None}, "completed", Complete(msgspec.Raw(b"null"))),
        ("fail", None, "failed", Fail("operator", "an operator has failed it")),
        ("fail", {"code": "gone", "message": "it is"}, "failed", Fail("gone", "it is")),
    ],
)
def test_a_node_is_ended(
    api: ServedApi, running: str, said: str, body: dict[str, Any] | None, status: str, word: Word
) -> None:
    """202, with its status and where to look."""
    given: dict[str, Any] = {} if body is None else {"json": body}
    answer = api.client.post(f"/workflows/{running}/nodes/a/{said}", **given)
    assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{running}"), answer.text
    assert answer.json() == {
        "execution_id": running,
        "node": "a",
        "status": status,
        "run": 1,
        "attempt": 0,
    }
    assert api.store.stored[running].overruled == [("a", Overruling(word))]


def test_what_it_is_meant_for_and_why_is_passed_on(api: ServedApi, running: str) -> None:
    """The rules compare."""
    body = {"reason": "gone", "run": 2, "attempt": 0}
    assert api.client.post(f"/workflows/{running}/nodes/a/skip", json=body).status_code == 202
    assert api.store.stored[running].overruled == [("a", Overruling(Skip(), "gone", 2, 0))]


@pytest.mark.parametrize(
    ("said", "body", "code", "pointer"),
    [
        ("skip", {"result": 1}, "unknown_field", "/result"),
        ("skip", {"reason": 5}, "wrong_type", "/reason"),
        ("skip", {"run": 0}, "out_of_range", "/run"),
        ("skip", {"attempt": True}, "wrong_type", "/attempt"),
        ("skip", ["x"], "wrong_type", ""),
        ("complete", {}, "missing_field", ""),
        ("complete", None, "missing_field", ""),
        ("complete", {"result": "x" * 1_048_577}, "out_of_range", "/result"),
        ("fail", {"code": "not a code"}, "invalid_value", "/code"),
        ("fail", {"code": "gone\n"}, "invalid_value", "/code"),
        ("fail", {"code": "upstream_failed"}, "invalid_value", "/code"),
        ("fail", {"message": "x" * 2001}, "out_of_range", "/message"),
    ],
)
def test_a_wrong_body_ends_nothing(
    api: ServedApi, running: str, said: str, body: object, code: str, pointer: str
) -> None:
    """422 with each problem and its place."""
    given: dict[str, Any] = {} if body is None else {"json": body}
    answer = api.client.post(f"/workflows/{running}/nodes/a/{said}", **given)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert [(each["code"], each["pointer"]) for each in answer.json()["problems"]] == [(code, pointer)]
    assert not api.store.stored[running].overruled


def test_a_result_that_is_no_json_is_refused(api: ServedApi, running: str) -> None:
    """As every body that cannot be read."""
    answer = api.client.post(
        f"/workflows/{running}/nodes/a/complete",
        content=b'{"result": NaN}',
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_document")


def test_a_node_that_nobody_knows_is_not_found(api: ServedApi, running: str) -> None:
    """Nor one of an execution that is not there; of one that has ended it is refused."""
    answer = api.client.post(f"/workflows/{running}/nodes/b/skip")
    assert (answer.status_code, answer.json()["code"]) == (404, "node_not_found")
    answer = api.client.post(f"/workflows/{'0' * 27}/nodes/a/skip")
    assert (answer.status_code, answer.json()["code"]) == (404, "execution_not_found")
    api.store.stored[running].status = "completed"
    answer = api.client.post(f"/workflows/{running}/nodes/a/skip")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
