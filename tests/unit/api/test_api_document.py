"""`GET /workflows/{id}/document`: the document as it was posted, in its form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.servers.served_api import ServedApi, served_api

YAML = b"""\
name: One   # a comment, and spaces
nodes:
  - {id: a, handler: echo, config: {text: "{{ secrets.KEY }}"}}
"""
JSON = b'{ "name": "One",\n  "nodes": [ {"id": "a", "handler": "echo", "config": {"text": "\\u00e9"}} ] }'


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def posted(api: ServedApi, content: bytes, media_type: str, query: str = "") -> httpx.Response:
    """The document of an execution of what was posted."""
    answer = api.client.post(f"/workflow{query}", content=content, headers={"Content-Type": media_type})
    assert answer.status_code in (201, 202), answer.text
    return api.client.get(f"/workflows/{answer.json()['execution_id']}/document")


@pytest.mark.parametrize("query", ["", "?trigger=true"])
@pytest.mark.parametrize(
    ("content", "sent", "media_type"),
    [
        (YAML, "application/yaml", "application/yaml"),
        (YAML, "text/x-yaml; charset=utf-8", "application/yaml"),
        (JSON, "application/json", "application/json"),
    ],
)
def test_a_document_comes_back_byte_for_byte(
    api: ServedApi, content: bytes, sent: str, media_type: str, query: str
) -> None:
    """Comments, spaces and escapes too; a secret in it is a template."""
    answer = posted(api, content, sent, query)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"].partition(";")[0] == media_type


def test_of_an_envelope_in_json_it_is_the_text_of_the_workflow(api: ServedApi) -> None:
    """As it stands there."""
    answer = posted(api, b'{"labels": {"a": "b"}, "workflow":' + JSON + b"}", "application/json")
    assert answer.content == JSON


def test_of_an_envelope_in_yaml_it_is_the_workflow_as_json(api: ServedApi) -> None:
    """A part of a YAML text is no document."""
    inside = b"workflow:\n" + b"".join(b"  " + line for line in YAML.splitlines(keepends=True))
    answer = posted(api, inside, "application/yaml")
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert json.loads(answer.content)["name"] == "One"


def test_a_document_that_a_caller_has_is_not_sent_again(api: ServedApi) -> None:
    """Its tag names the text and its form."""
    answer = posted(api, YAML, "application/yaml")
    path, tag = answer.request.url.path, answer.headers["etag"]

    def again(**headers: str) -> Any:
        return api.client.get(path, headers={"If-None-Match": headers["tags"]})

    for tags in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        known = again(tags=tags)
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert again(tags='"x"').status_code == 200
    assert posted(api, JSON, "application/json").headers["etag"] != tag


def test_an_execution_without_a_document_says_so(api: ServedApi) -> None:
    """An earlier version kept none; an unknown execution is another matter."""
    execution = api.client.post("/workflow", content=YAML, headers={"Content-Type": "text/yaml"}).json()
    api.store.stored[execution["execution_id"]].document = None
    answer = api.client.get(f"/workflows/{execution['execution_id']}/document")
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    assert api.client.get("/workflows/x9999/document").json()["code"] == "execution_not_found"
