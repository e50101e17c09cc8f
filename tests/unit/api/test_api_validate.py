"""`POST /validate`: what is said of a document that nobody stores."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from flowengine.settings import Limits
from flowengine.workflow.posting.posted import check_posted
from flowengine.workflow.posting.posted_document import PostedDocument
from tests.support.servers.served_api import ServedApi, catalog, served_api

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
    assert found["valid"] is False


def test_a_wrong_document_is_drawn_as_far_as_it_can_be_read(api: ServedApi) -> None:
    """What has no id is left out, and of a circle the edges in it. `nodes` says where the others stand."""
    text = """\
name: x
inputs: {day: {type: string}}
nodes:
  - {id: a, handler: ecko}
  - {id: b, handler: echo, dependencies: [a, nobody, b]}
  - {handler: echo}
  - {id: c, handler: echo, dependencies: [d, a]}
  - {id: d, handler: echo, dependencies: [c]}
  - [a]
finally:
  - {id: z, handler: 7, when: "{{ a.result }}"}
"""
    found = api.client.post("/validate", content=text.encode(), headers=YAML).json()
    assert found["valid"] is False
    assert {card["id"]: card["stage"] for card in found["graph"]["cards"]} == {
        **dict.fromkeys("abcd", "main"),
        "z": "finally",
    }
    edges = {(edge["source"], edge["target"]) for edge in found["graph"]["edges"]}
    assert edges == {("a", "b"), ("a", "c")}
    assert [(node["id"], node["pointer"], node["line"]) for node in found["nodes"]] == [
        ("a", "/nodes/0", 4),
        ("b", "/nodes/1", 5),
        ("c", "/nodes/3", 7),
        ("d", "/nodes/4", 8),
        ("z", "/finally/0", 11),
    ]
    assert list(found["input_schema"]["properties"]) == ["day"]


@pytest.mark.parametrize("nodes", ["7", "[]", "[1]", "{}"])
def test_what_has_no_nodes_has_no_picture(api: ServedApi, nodes: str) -> None:
    """And wrong inputs have no schema."""
    text = f"name: x\ninputs: [1]\nnodes: {nodes}\n".encode()
    found = api.client.post("/validate", content=text, headers=YAML).json()
    assert (found["graph"], found["nodes"], found["input_schema"]) == (None, [], None)


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        ("name: x  # why\nnodes:\n  - {id: a, handler: echo}\n", "application/yaml"),
        ('\n {"name": "x",\n  "nodes": [{"id": "a", "handler": "echo"}]}', "application/json"),
    ],
)
def test_the_workflow_of_an_envelope_may_be_a_text(api: ServedApi, text: str, media_type: str) -> None:
    """Problems have their places in that text."""
    posted = check_posted(json.dumps({"workflow": text}).encode(), "json", catalog(), Limits())
    assert posted.document == PostedDocument(text.encode(), media_type)
    found = api.client.post("/validate", json={"workflow": text, "inputs": {"b": 1}}).json()
    assert (found["valid"], found["nodes"][0]["pointer"]) == (True, "/nodes/0")
    wrong = {"workflow": text.replace("echo", "ecko"), "labels": 7}
    found = api.client.post("/validate", json=wrong).json()
    (labels, handler) = found["problems"]
    assert (labels["pointer"], handler["pointer"]) == ("/labels", "/workflow/nodes/0/handler")
    assert (labels["line"], handler["line"]) == (1, 3)


@pytest.mark.parametrize("text", ["", "name: [", "{", "\ud800", "7", "- a"])
def test_a_text_that_is_no_workflow_is_a_problem(api: ServedApi, text: str) -> None:
    """As of the document itself."""
    body = json.dumps({"workflow": text}).encode()
    found = api.client.post("/validate", content=body, headers={"Content-Type": "application/json"}).json()
    assert found["valid"] is False
    assert found["problems"][0]["line"] is not None


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
