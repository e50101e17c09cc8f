"""/docs and the OpenAPI document: complete, in step with the routes, and without a word to the internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar.routes import HTTPRoute

from flowengine.api.access.api_keys import new_key
from flowengine.api.app import create_app
from flowengine.api.edge.problem_documents import ProblemDocument
from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.api.openapi.operation import OPERATION
from flowengine.handlers import load_registry
from flowengine.settings import Limits, Settings
from flowengine.workflow import check
from tests.support.fake_executions import FakeExecutions
from tests.support.served_api import ServedApi, catalog, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture(scope="module")
def document(api: ServedApi) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get("/openapi.json").json()
    return found


def views() -> dict[str, type[msgspec.Struct]]:
    """The structs that responses carry, by name, as the app's routes name them."""
    app = create_app(FakeExecutions(), catalog(), Settings())
    found = {
        response.view
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if OPERATION in handler.opt
        for response in handler.opt[OPERATION].responses.values()
    }
    return {view.__name__: view for view in (*found, ProblemDocument)}


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def test_every_route_is_documented_and_nothing_else(document: dict[str, Any]) -> None:
    """Paths and methods are those of the app; the documentation does not document itself."""
    app = create_app(FakeExecutions(), catalog(), Settings())
    served = {
        (re.sub(r":\w+\}", "}", route.path_format), method)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS" and not (route.path == "/" or route.path.startswith(("/docs", "/openapi")))
    }
    documented = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert documented == served


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    """A path names no parameter that the operation does not describe, nor the other way round."""
    components = document["components"]["parameters"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = [components[item["$ref"].rpartition("/")[2]] for item in operation["parameters"]]
            described = {parameter["name"] for parameter in named if parameter["in"] == "path"}
            assert described == set(re.findall(r"\{(\w+)\}", path))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Each $ref names a component that exists, the workflow document's own definitions included."""
    text = msgspec.json.encode(document).decode()
    references = set(re.findall(r'"\$ref":"([^"]+)"', text))
    assert references
    for reference in references:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]


def test_every_answer_has_examples_of_its_own_type(document: dict[str, Any]) -> None:
    """Examples decode as the struct that the schema was made of."""
    known, count = views(), 0
    for operation in operations(document):
        for answer in operation["responses"].values():
            for content in answer["content"].values():
                view = known[content["schema"]["$ref"].rpartition("/")[2]]
                for example in content["examples"].values():
                    msgspec.json.decode(msgspec.json.encode(example["value"]), type=view)
                    count += 1
    assert count > 20


def test_every_kind_of_problem_is_shown_somewhere(document: dict[str, Any]) -> None:
    """What the API may answer, a reader of the document has seen, but for what no operation answers."""
    shown = {
        name
        for operation in operations(document)
        for answer in operation["responses"].values()
        for content in answer["content"].values()
        for name in content["examples"]
    }
    assert set(PROBLEM_KINDS) - shown == {"route_not_found", "method_not_allowed", "bad_request", "conflict"}


def test_the_body_is_documented_in_every_media_type(document: dict[str, Any]) -> None:
    """JSON and all names of YAML, each with an example that has the same meaning."""
    content = document["paths"]["/workflow"]["post"]["requestBody"]["content"]
    assert set(content) == {
        "application/json", "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml",
    }  # fmt: skip
    assert all(entry["examples"] for entry in content.values())


def test_the_example_workflows_are_valid_and_both_forms_say_the_same(document: dict[str, Any]) -> None:
    """What /docs offers to send passes the validator with the built-in handlers, JSON and YAML alike."""
    content = document["paths"]["/workflow"]["post"]["requestBody"]["content"]
    for name, example in content["application/json"]["examples"].items():
        as_json = msgspec.json.encode(example["value"])
        as_yaml = content["application/yaml"]["examples"][name]["value"].encode()
        plans = [check(as_json, "json", load_registry(()), Limits()).plan]
        plans.append(check(as_yaml, "yaml", load_registry(()), Limits()).plan)
        assert plans[0] is not None
        assert plans[0] == plans[1]


def test_the_key_is_documented_once_one_is_set(document: dict[str, Any]) -> None:
    """`security` is empty without keys, names the bearer scheme with them, and leaves /health open."""
    secret, entry = new_key("a")
    with served_api(Settings(api_keys=(entry,))) as api:
        closed = api.client.get("/openapi.json", headers={"Authorization": f"Bearer {secret}"}).json()
    assert closed["security"] == [{"key": []}]
    assert closed["paths"]["/health"]["get"]["security"] == []
    assert document["security"] == []


def test_the_page_and_its_files_come_from_this_service_only(api: ServedApi) -> None:
    """No address of another host in the page; the policy would forbid it anyway."""
    page = api.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    files = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert files == ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"]
    for file in files:
        answer = api.client.get(file)
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript")
        assert len(answer.content) > 100
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", page.text)


@pytest.mark.parametrize("file", ["nothing.js", "..%2f__init__.py", "%2e%2e", "index.css", "swagger-ui.js"])
def test_no_other_file_is_served(api: ServedApi, file: str) -> None:
    """Three files, by name; a path cannot climb."""
    assert api.client.get(f"/docs/{file}").status_code == 404
