"""The reference's examples: documents, templates and handlers do what the text beside them says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

from flowengine.handlers.loading import ENTRY_POINT_GROUP
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import handler
from flowengine.template import Scope, render
from tests.e2e.docs.conftest import Shell, finished
from tests.e2e.docs.markdown_files import ALL, TOPICS, code_of

DOCUMENTS = [
    (f"{file.name}-{place}.{suffix}", block)
    for file in ALL
    for suffix in ("yaml", "json")
    for place, block in enumerate(file.blocks(suffix))
    if "nodes" in (yaml.safe_load(block) or {})
]
TEMPLATES = [
    *(code_of(row[:2]) for row in TOPICS["templates"].rows("template-examples")),
    *(
        code_of(row[1:3])
        for mark in ("template-functions", "template-tests")
        for row in TOPICS["templates"].rows(mark)
    ),
]
CALLED_AT = 1_772_355_723_004


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[name for name, _ in DOCUMENTS])
def test_documents_are_valid(name: str, document: str, clone: Path, shell: Shell) -> None:
    """Every workflow that README or the reference shows would be accepted."""
    (clone / name).write_text(document)
    done = shell(f"flowengine validate {name}")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("template", "value"), TEMPLATES, ids=[template for template, _ in TEMPLATES])
def test_templates_give_what_is_shown(template: str, value: str) -> None:
    """Over the outputs that the page supposes, in a call at the time that it shows."""
    (outputs,) = map(json.loads, TOPICS["templates"].blocks("json"))
    scope = Scope(
        outputs=outputs,
        primaries={"fetch_user": "data", "orders": "data", "my-node": "result"},
        secrets=str,
        moment=CALLED_AT,
        seed="an-execution-1-node",
    )
    given: JsonValue = render(template, scope, max_chars=100_000)
    assert given == json.loads(value)


def test_handler_works(dev_url: str) -> None:
    """It is validated by the API and run by the worker; its error has its code."""
    nodes = [
        {"id": "hello", "handler": "greet", "config": {"name": "Ada", "loud": True}},
        {"id": "nobody", "handler": "greet", "config": {"name": ""}},
    ]
    created = httpx.post(f"{dev_url}/workflow", json={"name": "x", "nodes": nodes}, trust_env=False).json()[
        "execution_id"
    ]
    assert httpx.post(f"{dev_url}/workflow/trigger/{created}", trust_env=False).status_code == 202
    answer = finished(dev_url, created)
    assert answer["results"] == {"hello": {"result": "HELLO, ADA"}}
    assert answer["errors"]["nobody"]["code"] == "no_name"


def test_a_handlers_lines_are_kept(dev_url: str) -> None:
    """What the example logs and prints is listed as its node's."""
    nodes = [{"id": "pages", "handler": "import_pages", "config": {"pages": ["a", "b"]}}]
    answer = httpx.post(f"{dev_url}/workflow", json={"name": "x", "nodes": nodes}, trust_env=False)
    created = answer.json()["execution_id"]
    httpx.post(f"{dev_url}/workflow/trigger/{created}", trust_env=False)
    assert finished(dev_url, created)["results"] == {"pages": {"result": 2}}
    lines = httpx.get(f"{dev_url}/workflows/{created}/nodes/pages/logs", trust_env=False).json()["items"]
    said = [line["message"] for line in lines]
    assert said == ["page.imported", "imported a", "page.imported", "imported b"]


def test_workflow_starts_another_one_on_a_flowengine(dev_url: str) -> None:
    """By one node, whose idempotency key the API knows."""
    (example,) = TOPICS["handlers"].blocks("yaml")
    text = example.replace("http://flowengine.example:8000", dev_url)
    headers = {"Content-Type": "application/yaml"}
    answer = httpx.post(f"{dev_url}/workflow", content=text, headers=headers, trust_env=False)
    created = answer.json()["execution_id"]
    assert httpx.post(f"{dev_url}/workflow/trigger/{created}", trust_env=False).status_code == 202
    started = finished(dev_url, created)
    assert started["errors"] == {}
    other = started["results"]["start"]["data"]["execution_id"]
    assert finished(dev_url, other)["results"] == {"add": {"result": 3}}


def test_key_that_would_not_be_honoured_is_refused_with_what_to_do(dev_url: str) -> None:
    """In the node's error."""
    config = {"url": f"{dev_url}/workflows/{'0' * 27}/cancel", "method": "POST"}
    document = {"name": "x", "nodes": [{"id": "a", "handler": "http_request", "config": config}]}
    answer = httpx.post(f"{dev_url}/workflow", json=document, trust_env=False)
    created = answer.json()["execution_id"]
    assert httpx.post(f"{dev_url}/workflow/trigger/{created}", trust_env=False).status_code == 202
    (attempt,) = finished(dev_url, created)["errors"]["a"]["errors"]
    assert "`headers: {Idempotency-Key: null}`" in attempt["message"]


def test_handlers_config_is_checked(dev_url: str) -> None:
    """The API knows the handler's struct."""
    wrong = {"name": "x", "nodes": [{"id": "a", "handler": "greet", "config": {"nam": "Ada"}}]}
    refusal = httpx.post(f"{dev_url}/workflow", json=wrong, trust_env=False)
    assert refusal.status_code == 422
    assert "did you mean 'name'" in refusal.text


def test_entry_point_is_that_of_handlers() -> None:
    """A package that says so is found."""
    (points,) = TOPICS["handlers"].blocks("toml")
    assert tomllib.loads(points)["project"]["entry-points"][ENTRY_POINT_GROUP]


def test_decorators_are_what_the_interface_takes() -> None:
    """Each `@handler(...)` in the text can be written before a function."""
    decorators = {code for file in ALL for code in file.inline if re.match(r"@handler\(\"", code)}
    assert len(decorators) >= 3
    for decorator in decorators:
        eval(decorator.removeprefix("@"), {"handler": handler})
