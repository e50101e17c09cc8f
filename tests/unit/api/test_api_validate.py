"""`POST /validate`: what is said of a document that nobody stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.served_api import ServedApi, served_api

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
WITH_INPUTS = {**ONE_NODE, "inputs": {"day": {"type": "string"}}}
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served
        assert not served.store.stored, "something was stored"


def test_a_right_document_is_valid(api: ServedApi) -> None:
    """With its picture and the schema of its inputs."""
    answer = api.client.post("/validate", json=WITH_INPUTS)
    found = answer.json()
    assert (answer.status_code, found["valid"], found["problems"], found["warnings"]) == (200, True, [], [])
    assert found["input_schema"]["properties"] == {"day": {"type": "string"}}
    assert [card["id"] for card in found["graph"]["cards"]] == ["a"]


def test_every_problem_has_its_place(api: ServedApi) -> None:
    """Those that a refusal of POST /workflow lists."""
    text = b"name: x\nnodes:\n  - {id: a, handler: ecko}\n  - {id: b, handler: echo, dependencies: [c]}\n"
    found = api.client.post("/validate", content=text, headers=YAML).json()
    refused = api.client.post("/workflow", content=text, headers=YAML).json()
    assert found["problems"] == refused["problems"]
    assert [problem["line"] for problem in found["problems"]] == [3, 4]
    assert (found["valid"], found["graph"], found["input_schema"]) == (False, None, None)


def test_what_cannot_be_read_is_a_problem_too(api: ServedApi) -> None:
    """It is what the caller asks about, and no error of the request."""
    answer = api.client.post("/validate", content=b"name: [\n", headers=YAML)
    assert (answer.status_code, answer.json()["valid"]) == (200, False)
    assert answer.json()["problems"][0]["line"] == 2


def test_inputs_of_the_envelope_are_checked(api: ServedApi) -> None:
    """What is missing may come with the trigger."""
    wrong = api.client.post("/validate", json={"workflow": WITH_INPUTS, "inputs": {"day": 1}}).json()
    assert [problem["pointer"] for problem in wrong["problems"]] == ["/inputs/day"]
    assert api.client.post("/validate", json={"workflow": WITH_INPUTS}).json()["valid"] is True


def test_warnings_are_told(api: ServedApi) -> None:
    """The document is valid."""
    reads = {"id": "b", "handler": "echo", "dependencies": ["a"], "trigger_rule": "all_done"}
    nodes = [{"id": "a", "handler": "echo"}, {**reads, "config": {"text": "{{ a.result }}"}}]
    found = api.client.post("/validate", json={"name": "x", "nodes": nodes}).json()
    assert (found["valid"], [warning["code"] for warning in found["warnings"]]) == (True, ["may_be_missing"])


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/validate?trigger=true", YAML, "unknown_parameter"),
        ("/validate", {"Content-Type": "text/plain"}, "unsupported_media_type"),
        ("/validate", {**YAML, "Idempotency-Key": "a"}, "not_supported"),
    ],
)
def test_a_request_that_is_wrong_is_refused(
    api: ServedApi, path: str, headers: dict[str, str], code: str
) -> None:
    """As everywhere."""
    assert api.client.post(path, content=b"name: x\n", headers=headers).json()["code"] == code
