"""Labels over HTTP, and a workflow that starts as it is posted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flowengine.errors import StoreUnavailableError
from flowengine.workflow.labels import MAX_LABELS
from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT: dict[str, Any] = {
    "name": "One",
    "labels": {"team": "data", "kind": "report"},
    "nodes": [{"id": "a", "handler": "echo"}],
}
NEEDS_AN_INPUT = {**DOCUMENT, "inputs": {"day": {"type": "string"}}}
MANY = {f"l{at}": "x" for at in range(MAX_LABELS)}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def labels_of(api: ServedApi, answer: httpx.Response) -> Any:
    """The labels that the status of the answer's execution shows."""
    return api.client.get(f"/workflows/{answer.json()['execution_id']}").json()["labels"]


def problems(answer: httpx.Response) -> set[tuple[str, str]]:
    """Codes and pointers of a refusal's problems."""
    return {(problem["code"], problem["pointer"]) for problem in answer.json()["problems"]}


def test_an_execution_has_the_labels_of_its_document(api: ServedApi) -> None:
    """They are in its status; without any it shows none."""
    assert labels_of(api, api.client.post("/workflow", json=DOCUMENT)) == DOCUMENT["labels"]
    plain = {"name": "One", "nodes": DOCUMENT["nodes"]}
    assert labels_of(api, api.client.post("/workflow", json=plain)) == {}


def test_callers_labels_take_the_place_of_the_documents_and_the_first_triggers_of_both(
    api: ServedApi,
) -> None:
    """Name by name."""
    envelope = {"workflow": DOCUMENT, "labels": {"kind": "test", "customer": "7"}}
    created = api.client.post("/workflow", json=envelope)
    assert labels_of(api, created) == {"team": "data", "kind": "test", "customer": "7"}
    path = f"/workflow/trigger/{created.json()['execution_id']}"
    assert api.client.post(path, json={"labels": {"customer": "8"}}).status_code == 202
    assert labels_of(api, created) == {"team": "data", "kind": "test", "customer": "8"}


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        ({"a:b": "x"}, ("invalid_label", "/labels/a:b")),
        ({"a": 1}, ("wrong_type", "/labels/a")),
        (MANY, ("out_of_range", "/labels")),
        (["a"], ("wrong_type", "/labels")),
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_place(
    api: ServedApi, labels: Any, wrong: tuple[str, str]
) -> None:
    """Those of an envelope together with those of its document; nothing is stored."""
    stored = len(api.store.stored)
    answer = api.client.post("/workflow", json={"workflow": DOCUMENT, "labels": labels})
    assert (answer.status_code, problems(answer)) == (422, {wrong})
    assert len(api.store.stored) == stored


@pytest.mark.parametrize(
    ("path", "body"),
    [("/workflow?trigger=true", DOCUMENT), ("/workflow", {"workflow": DOCUMENT, "trigger": True})],
)
def test_a_workflow_may_start_as_it_is_posted(api: ServedApi, path: str, body: Any) -> None:
    """202 with its first run, and the place of its status."""
    answer = api.client.post(path, json=body)
    made = answer.json()
    assert answer.status_code == 202
    assert list(made) == ["execution_id", "name", "status", "run", "created_at", "correlation_id"]
    assert (made["status"], made["run"]) == ("running", 1)
    assert answer.headers["Location"] == f"/workflows/{made['execution_id']}"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/workflow?trigger=false", DOCUMENT), ("/workflow", {"workflow": DOCUMENT, "trigger": False})],
)
def test_a_workflow_that_shall_not_start_is_stored_only(api: ServedApi, path: str, body: Any) -> None:
    """As ever."""
    answer = api.client.post(path, json=body)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("trigger=yes", "invalid_parameter"),
        ("trigger", "invalid_parameter"),
        ("trigger=true&trigger=true", "invalid_parameter"),
        ("triger=true", "unknown_parameter"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(api: ServedApi, query: str, code: str) -> None:
    """With what it may say; nothing is stored."""
    stored = len(api.store.stored)
    answer = api.client.post(f"/workflow?{query}", json=DOCUMENT)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "trigger" in answer.json()["detail"]
    assert len(api.store.stored) == stored


def test_an_envelope_says_true_or_false_of_its_trigger(api: ServedApi) -> None:
    """Anything else is no answer to whether it starts."""
    answer = api.client.post("/workflow", json={"workflow": DOCUMENT, "trigger": "now"})
    assert problems(answer) == {("wrong_type", "/trigger")}


@pytest.mark.proves("inputs-refused")
def test_a_start_without_what_it_needs_stores_nothing(api: ServedApi) -> None:
    """What a trigger asks for is asked for at once."""
    stored = len(api.store.stored)
    answer = api.client.post("/workflow?trigger=true", json=NEEDS_AN_INPUT)
    assert (answer.status_code, problems(answer)) == (422, {("missing_input", "/inputs/day")})
    assert len(api.store.stored) == stored


def test_a_start_whose_outcome_is_unknown_says_so(api: ServedApi) -> None:
    """Sent again, it may run twice."""
    try:
        api.store.broken = StoreUnavailableError("Redis went away.")
        detail = api.client.post("/workflow?trigger=true", json=DOCUMENT).json()["detail"]
        assert detail.startswith("Redis went away. The workflow may have been stored and started")
    finally:
        api.store.broken = None
