"""/docs and the OpenAPI document: complete, in step with the routes, and without a word to the internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import yaml
from litestar.routes import HTTPRoute

from flowengine.api.access.api_keys import new_key
from flowengine.api.app import create_app
from flowengine.api.edge.problem_documents import ProblemDocument
from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.api.edge.request_bodies import YAML_TYPES
from flowengine.api.openapi.operation import OPERATION, ViewResponse
from flowengine.api.openapi.refusals import NEVER_SHOWN
from flowengine.api.openapi.schemas import name_of
from flowengine.api.routes.service.documentation_pages import FOLDER
from flowengine.handlers.loading import load_registry
from flowengine.settings import Limits, Settings
from flowengine.workflow.inputs.values import check_given
from flowengine.workflow.posting.posted import check_posted
from flowengine.workflow.schema import document_schema
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import ServedApi, catalog, served_api


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
    app = create_app(FakeExecutions(), catalog(), Settings(), FakeAccess())
    found: set[type[msgspec.Struct]] = {
        response.view
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if OPERATION in handler.opt
        for response in handler.opt[OPERATION].responses.values()
        if isinstance(response, ViewResponse)
    }
    found.add(ProblemDocument)
    return {name_of(view): view for view in found}


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def contents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The JSON that responses hold, those that are shared included."""
    for operation in operations(document):
        for answer in operation["responses"].values():
            shared = answer.get("$ref", "").rpartition("/")[2]
            content = (document["components"]["responses"][shared] if shared else answer)["content"]
            yield from (held for held in content.values() if "$ref" in held["schema"])


def is_page(path: str) -> bool:
    """What a person looks at, not a program."""
    return path == "/" or path.startswith(("/docs", "/openapi", "/ui"))


def test_every_route_is_documented_and_nothing_else(document: dict[str, Any]) -> None:
    """Paths and methods are those of the app; the documentation does not document itself."""
    app = create_app(FakeExecutions(), catalog(), Settings(), FakeAccess())
    served = {
        (re.sub(r":\w+\}", "}", route.path_format), method)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS" and not is_page(route.path)
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
    for content in contents(document):
        view = known[content["schema"]["$ref"].rpartition("/")[2]]
        for example in content["examples"].values():
            msgspec.json.decode(msgspec.json.encode(example["value"]), type=view)
            count += 1
    assert count > 20


def test_every_kind_of_problem_is_shown_somewhere(document: dict[str, Any]) -> None:
    """What the API may answer, a reader of the document has seen, but for what no operation answers."""
    shown = {name for content in contents(document) for name in content["examples"]}
    assert set(PROBLEM_KINDS) - shown == NEVER_SHOWN
    assert all(f"`{code}`" in document["info"]["description"] for code in PROBLEM_KINDS)


def test_the_body_is_documented_as_json_and_as_yaml(document: dict[str, Any]) -> None:
    """YAML under its registered name (RFC 9512); the text has the other names that are taken."""
    body = document["paths"]["/workflow"]["post"]["requestBody"]
    assert set(body["content"]) == {"application/json", "application/yaml"}
    assert all(entry["examples"] for entry in body["content"].values())
    assert all(name in body["description"] for name in YAML_TYPES[1:])


def test_the_example_workflows_are_valid(document: dict[str, Any]) -> None:
    """What /docs offers to send passes the validator with the built-in handlers, JSON and YAML alike."""
    content = document["paths"]["/workflow"]["post"]["requestBody"]["content"]
    assert content["application/json"] == content["application/yaml"]
    for example in content["application/json"]["examples"].values():
        as_json = msgspec.json.encode(example["value"])
        as_yaml = yaml.safe_dump(example["value"], sort_keys=False).encode()
        posted = check_posted(as_json, "json", load_registry(()), Limits())
        assert posted.checked.plan is not None
        also = check_posted(as_yaml, "yaml", load_registry(()), Limits())
        # Each keeps the text that was posted.
        kept: dict[str, Any] = {"document": None, "source": None}
        assert msgspec.structs.replace(posted, **kept) == msgspec.structs.replace(also, **kept)
        check_given(posted.checked.plan.inputs, posted.inputs)


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
    files = re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.text)
    assert set(re.findall(r'(?:src|href)="(/[^"]+)"', page.text)) == {"/ui", *files}
    assert files == ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"]
    for file in files:
        answer = api.client.get(file)
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript")
        assert len(answer.content) > 100
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", page.text)


def test_the_page_is_dark_where_the_reader_wants_it(api: ServedApi) -> None:
    """It follows the browser's preference, also when that changes."""
    assert '<meta name="color-scheme" content="light dark">' in api.client.get("/docs").text
    start = api.client.get("/docs/start.js").text
    assert '"(prefers-color-scheme: dark)"' in start
    assert 'addEventListener("change"' in start
    assert '"dark-mode"' in start
    assert "html.dark-mode .swagger-ui" in api.client.get("/docs/swagger-ui.css").text


def test_the_files_of_swagger_ui_are_the_published_ones() -> None:
    """Digest by digest, as README.md there has them; their licence is among them, and nothing else is."""
    rows = re.findall(r"\| `([\w.-]+)` \| `([0-9a-f]{64})` \|", (FOLDER / "README.md").read_text())
    listed = dict(rows)
    assert {"swagger-ui.css", "swagger-ui-bundle.js", "LICENSE", "NOTICE"} <= set(listed)
    assert {path.name for path in FOLDER.iterdir()} == {"README.md", *listed}
    assert {name: sha256((FOLDER / name).read_bytes()).hexdigest() for name in listed} == listed
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_100_000


@pytest.mark.parametrize(
    "file", ["nothing.js", "..%2f__init__.py", "%2e%2e", "index.css", "swagger-ui.js", "README.md", "LICENSE"]
)
def test_no_other_file_is_served(api: ServedApi, file: str) -> None:
    """Three files, by name; a path cannot climb."""
    assert api.client.get(f"/docs/{file}").status_code == 404


def test_editors_get_the_schema_of_workflows(api: ServedApi) -> None:
    """With the configs of the handlers that this API knows; nobody needs a key for it."""
    answer = api.client.get("/docs/workflow.schema.json")
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.json() == msgspec.json.decode(msgspec.json.encode(document_schema(catalog())))


def test_only_schemas_that_are_there_are_served(api: ServedApi) -> None:
    """Those of files of tests are the tool's to add."""
    assert api.client.get("/docs/tests.schema.json").status_code == 404
