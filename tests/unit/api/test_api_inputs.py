"""Inputs over HTTP: in an envelope with the workflow, and in the body of the first trigger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flowengine.workflow.inputs.declared import MAX_BYTES
from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT: dict[str, Any] = {
    "name": "One",
    "inputs": {"day": {"type": "string", "format": "date"}, "n": {"type": "integer", "default": 1}},
    "nodes": [{"id": "a", "handler": "echo", "config": {"text": "{{ inputs.day }}"}}],
}
YAML = b"""\
workflow:
  name: One
  inputs:
    day: {type: strin}
  nodes:
    - {id: a, handler: echo, config: {text: "{{ inputs.dya }}"}}
labels: {a: 1}
input: {}
"""


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def pending(api: ServedApi) -> Iterator[str]:
    """The path that triggers an execution, which is still pending at the end."""
    path = trigger_path(api.client.post("/workflow", json=DOCUMENT))
    yield path
    assert api.store.stored[path.rpartition("/")[2]].status == "pending"


def trigger_path(created: httpx.Response) -> str:
    """Where the execution is triggered."""
    return f"/workflow/trigger/{created.json()['execution_id']}"


def problems(answer: httpx.Response) -> set[tuple[str, str]]:
    """Codes and pointers of a refusal's problems."""
    return {(problem["code"], problem["pointer"]) for problem in answer.json()["problems"]}


def test_an_envelope_holds_the_workflow_and_inputs(api: ServedApi) -> None:
    """The trigger then needs none."""
    created = api.client.post("/workflow", json={"workflow": DOCUMENT, "inputs": {"day": "2026-03-01"}})
    assert created.status_code == 201
    assert api.client.post(trigger_path(created)).status_code == 202
    stored = api.store.stored[created.json()["execution_id"]]
    assert stored.inputs == {"day": "2026-03-01", "n": 1}


def test_the_problems_of_an_envelope_have_their_places_in_it(api: ServedApi) -> None:
    """Pointer, line and column are those of the body, and all of them are told at once."""
    answer = api.client.post("/workflow", content=YAML, headers={"Content-Type": "application/yaml"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_workflow")
    assert problems(answer) == {
        ("invalid_schema", "/workflow/inputs/day/type"),
        ("unknown_field", "/workflow/nodes/0/config/text"),
        ("wrong_type", "/labels/a"),
        ("unknown_field", "/input"),
    }
    assert [problem["line"] for problem in answer.json()["problems"]] == [4, 6, 7, 8]


def test_an_envelope_gives_a_priority_in_place_of_the_documents(api: ServedApi) -> None:
    """A wrong one is refused, and nothing is stored."""
    body = {"workflow": {**DOCUMENT, "priority": "low"}, "priority": "high"}
    execution = api.client.post("/workflow", json=body).json()["execution_id"]
    assert api.store.stored[execution].plan.overall.priority == "high"
    stored = len(api.store.stored)
    answer = api.client.post("/workflow", json={"workflow": DOCUMENT, "priority": "hihg"})
    assert (answer.status_code, problems(answer)) == (422, {("invalid_value", "/priority")})
    assert len(api.store.stored) == stored


def test_an_envelope_whose_workflow_is_no_object_is_refused(api: ServedApi) -> None:
    """As any document."""
    answer = api.client.post("/workflow", json={"workflow": "x", "inputs": 5})
    assert problems(answer) == {("wrong_type", "/workflow"), ("wrong_type", "/inputs")}


@pytest.mark.proves("inputs-refused")
def test_inputs_that_do_not_fit_are_answered_422_and_nothing_is_stored(api: ServedApi) -> None:
    """Every problem is told at once, with its pointer."""
    stored = len(api.store.stored)
    answer = api.client.post(
        "/workflow", json={"workflow": DOCUMENT, "inputs": {"day": "x", "n": "y", "dya": 1}}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "inputs_invalid")
    assert problems(answer) == {
        ("invalid_input", "/inputs/day"),
        ("invalid_input", "/inputs/n"),
        ("unknown_input", "/inputs/dya"),
    }
    assert len(api.store.stored) == stored


@pytest.mark.proves("inputs-refused")
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (None, {("missing_input", "/inputs/day")}),
        ({}, {("missing_input", "/inputs/day")}),
        ({"inputs": None}, {("missing_input", "/inputs/day")}),
        ({"inputs": {"day": 5}}, {("invalid_input", "/inputs/day")}),
        ({"inputs": {"day": "x" * MAX_BYTES}}, {("inputs_too_large", "/inputs")}),
        ({"inputs": [1]}, {("wrong_type", "/inputs")}),
        ({"input": {}}, {("unknown_field", "/input")}),
        ({"labels": {"a": 1, "b:c": "d"}}, {("wrong_type", "/labels/a"), ("invalid_label", "/labels/b:c")}),
        ({"label": {}}, {("unknown_field", "/label")}),
        ([1], {("wrong_type", "")}),
    ],
)
def test_a_trigger_whose_inputs_do_not_fit_starts_nothing(
    api: ServedApi, pending: str, body: Any, wrong: set[tuple[str, str]]
) -> None:
    """It is answered 422, and may be sent again with what is right."""
    answer = api.client.post(pending, json=body) if body is not None else api.client.post(pending)
    assert (answer.status_code, answer.json()["code"]) == (422, "inputs_invalid")
    assert problems(answer) == wrong


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b'{"inputs": ', "application/json", 400),
        (b"inputs: [", "application/yaml", 400),
        (b'{"inputs": {"day": "2026-03-01"}}', "text/plain", 415),
        (b'{"inputs": {"day": "2026-03-01"}}', None, 415),
        (b" ", "application/json", 400),
        (b"x" * 300_000, "application/json", 400),
        (b" " * (13 * 1024 * 1024), "application/json", 413),
    ],
)
def test_a_trigger_with_a_body_that_cannot_be_read_starts_nothing(
    api: ServedApi, pending: str, content: bytes, media_type: str | None, status: int
) -> None:
    """Whatever the body's framing."""
    headers = {} if media_type is None else {"Content-Type": media_type}
    for body in (content, iter([content[:1], content[1:]])):
        assert api.client.post(pending, content=body, headers=headers).status_code == status


@pytest.mark.proves("vars-invalid")
def test_a_var_that_cannot_be_made_is_answered_422(api: ServedApi) -> None:
    """It names the var, and nothing starts."""
    document = {**DOCUMENT, "vars": {"x": "{{ 1 // (inputs.n - 1) }}"}}
    path = trigger_path(
        api.client.post("/workflow", json={"workflow": document, "inputs": {"day": "2026-03-01"}})
    )
    answer = api.client.post(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "vars_invalid")
    assert problems(answer) == {("vars_invalid", "/vars/x")}
    assert api.client.post(path, json={"inputs": {"n": 2}}).status_code == 202


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml"])
def test_a_trigger_takes_inputs_as_json_and_yaml(api: ServedApi, media_type: str) -> None:
    """In either framing; they take the place of those that were posted."""
    content = b'{"inputs": {"day": "2026-03-02"}}'
    for body in (content, iter([content[:5], content[5:]])):
        path = trigger_path(
            api.client.post("/workflow", json={"workflow": DOCUMENT, "inputs": {"day": "2026-03-01", "n": 5}})
        )
        assert api.client.post(path, content=body, headers={"Content-Type": media_type}).status_code == 202
        assert api.store.stored[path.rpartition("/")[2]].inputs == {"day": "2026-03-02", "n": 5}
