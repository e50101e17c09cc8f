"""The OpenAPI document before independent judges: a validator, JSON Schema, a generated client in use."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from flowengine.api.access.api_keys import new_key
from flowengine.api.app import create_app
from flowengine.api.openapi.document import openapi_document
from flowengine.execution.status import EXECUTION_STATUSES, NODE_STATUSES
from flowengine.execution.views.node_kinds import NODE_KINDS
from flowengine.handlers.loading import load_registry
from flowengine.settings import Settings
from tests.support.fake_access import FakeAccess
from tests.support.fake_executions import FakeExecutions
from tests.support.servers.served_api import served_api


def made(settings: Settings | None = None) -> dict[str, Any]:
    """The document with the built-in handlers."""
    registry, chosen = load_registry(()), settings or Settings()
    app = create_app(FakeExecutions(), registry, chosen, FakeAccess())
    handlers = [handler for at in app.routes if isinstance(at, HTTPRoute) for handler in at.route_handlers]
    document: dict[str, Any] = json.loads(
        openapi_document(handlers, registry, asks_for_keys=bool(chosen.api_keys))
    )
    return document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return made()


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from parts(item)
    elif isinstance(value, list):
        for item in value:
            yield from parts(item)


def schemas(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def is_valid(document: dict[str, Any], name: str, value: object) -> bool:
    """Whether the value fits the component of this name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return bool(Draft202012Validator(schema, format_checker=FormatChecker()).is_valid(value))


@pytest.mark.parametrize("with_key", [False, True])
def test_a_validator_has_nothing_to_say(with_key: bool) -> None:
    """With keys and without."""
    validate(made(Settings(api_keys=(new_key("a")[1],)) if with_key else None))


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    """Those of requests too, in YAML too."""
    count = 0
    for content in parts(document):
        if "examples" in content and "schema" in content:
            name = content["schema"]["$ref"].rpartition("/")[2]
            for example in content["examples"].values():
                assert is_valid(document, name, example["value"]), example
                count += 1
    assert count > 30


def test_no_parameter_is_prefilled(document: dict[str, Any]) -> None:
    """/docs would ask for an execution that does not exist."""
    for parameter in document["components"]["parameters"].values():
        assert not {"example", "examples"} & set(parameter)
        assert not {"example", "examples", "default"} & set(parameter["schema"])


def test_answers_lead_to_what_may_be_asked_next(document: dict[str, Any]) -> None:
    """Links of the workflow's life, by operations that exist; the new execution's path is in Location."""
    paths = document["paths"]
    operations = {operation["operationId"] for methods in paths.values() for operation in methods.values()}
    links = document["components"]["links"]
    assert {link["operationId"] for link in links.values()} <= operations
    for path, status, names in (
        ("/workflow", "201", {"trigger_execution", "show_execution"}),
        ("/workflow/trigger/{execution_id}", "202", {"show_execution", "show_results"}),
    ):
        answer = paths[path]["post"]["responses"][status]
        assert set(answer["links"]) == names
        assert answer["headers"]["Location"] == {"$ref": "#/components/headers/Location"}
    assert set(paths["/workflows/{execution_id}"]["get"]["responses"]["200"]["links"]) >= {"show_results"}


def test_refusals_are_described_once(document: dict[str, Any]) -> None:
    """An operation refers to them; what any may answer is a single one."""
    for methods in document["paths"].values():
        for operation in methods.values():
            responses = operation["responses"]
            assert responses["default"] == {"$ref": "#/components/responses/AnyRefusal"}
            inline = {status for status, answer in responses.items() if "$ref" not in answer}
            assert inline <= {"200", "201", "202", "503"}
    problems = [content for content in parts(document["paths"]) if "application/problem+json" in content]
    assert problems == []


def test_ids_have_bounds_wherever_they_stand(document: dict[str, Any]) -> None:
    """In headers, parameters and bodies: one schema each, with a length."""
    found = schemas(document)
    assert found["CorrelationId"]["maxLength"] == 128
    assert found["ExecutionId"]["maxLength"] == 64
    components = document["components"]
    for name in ("headers", "parameters"):
        assert components[name]["CorrelationId"]["schema"] == {"$ref": "#/components/schemas/CorrelationId"}
    fields = [part["properties"] for part in parts(found) if isinstance(part.get("properties"), dict)]
    for name, component in (("correlation_id", "CorrelationId"), ("execution_id", "ExecutionId")):
        stands = [field[name] for field in fields if name in field]
        assert len(stands) >= 3
        whole = {"$ref": f"#/components/schemas/{component}"}
        assert all(at in (whole, {"anyOf": [whole, {"type": "null"}]}) for at in stands)


def test_enumerations_have_a_type_and_those_with_sentences_are_shared(document: dict[str, Any]) -> None:
    """Each word of a status, and of a node's kind, has its sentence."""
    found = schemas(document)
    assert all("type" in part for part in parts(found) if "enum" in part or "const" in part)
    words: dict[str, Mapping[Any, str]] = {
        "ExecutionStatus": EXECUTION_STATUSES,
        "NodeStatus": NODE_STATUSES,
        "NodeKind": NODE_KINDS,
    }
    for name, sentences in words.items():
        assert found[name]["enum"] == list(sentences)
        assert [part for part in parts(found) if set(part.get("enum", ())) == set(sentences)] == [found[name]]
        assert all(sentence in found[name]["description"] for sentence in sentences.values())


def test_arrays_say_what_they_hold(document: dict[str, Any]) -> None:
    """Anything, where it may be anything."""
    arrays = [part for part in parts(schemas(document)) if "array" in (part.get("type") or ())]
    assert arrays
    assert all("items" in part or "prefixItems" in part for part in arrays)


def test_schemas_have_names_that_callers_understand(document: dict[str, Any]) -> None:
    """No word of the code, and a title that is the name."""
    names = set(schemas(document))
    assert {"Execution", "Node", "NodeCounts", "Results", "Health", "Queue", "Problem", "Workflow"} <= names
    assert not [name for name in names if name.endswith(("View", "Document")) or "." in name or "_" in name]
    assert all(schema.get("title", name) == name for name, schema in schemas(document).items())


NODE = {"id": "a", "handler": "llm_service"}


@pytest.mark.parametrize(
    ("config", "fits"),
    [
        ({"prompt": "Hi"}, True),
        ({"messages": [{"role": "user", "content": "Hi"}], "model": "m"}, True),
        ({"messages": "{{ before.result }}"}, True),
        ({"prompt": "Hi", "messages": [{"role": "user", "content": "Hi"}]}, False),
        ({"model": "m"}, False),
        ({"prompt": None}, False),
        ({"prompt": "Hi", "unknown": 1}, False),
    ],
)
def test_prompt_and_messages_exclude_each_other(
    document: dict[str, Any], config: dict[str, Any], fits: bool
) -> None:
    """One of them, as the validator wants it, and a config at all."""
    assert is_valid(document, "Workflow", {"name": "x", "nodes": [{**NODE, "config": config}]}) == fits
    assert not is_valid(document, "Workflow", {"name": "x", "nodes": [NODE]})


CLIENT = "generated_flowengine_client"
GENERATE = "from openapi_python_client.cli import app; app()"
CONFIG = {"post_hooks": [], "content_type_overrides": {"application/yaml": "application/json"}}
"""The generator knows no YAML; a client of its making sends JSON."""


@pytest.fixture(scope="module")
def client_folder(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a client was generated without a warning."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    options = ["--path", "openapi.json", "--config", "config.json", "--meta", "none", "--fail-on-warning"]
    argv = [sys.executable, "-c", GENERATE, "generate", *options, "--output-path", CLIENT]
    ended = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == CLIENT]:
        del sys.modules[name]


def test_a_generated_client_works(client_folder: Path) -> None:
    """A workflow's life in its types: typed configs, statuses, results, problems."""
    models, whole = (importlib.import_module(f"{CLIENT}{name}") for name in (".models", ""))
    calls = {
        name: importlib.import_module(f"{CLIENT}.api.{tag}.{name}").sync
        for tag, name in (
            ("workflows", "create_execution"),
            ("workflows", "trigger_execution"),
            ("workflows", "show_execution"),
            ("workflows", "show_results"),
            ("service", "show_health"),
        )
    }
    config = models.WorkflowComputeConfig(operation=models.WorkflowComputeConfigOperationType0.ADD, a=40, b=2)
    node = models.WorkflowNodeCompute(id="sum", handler="compute", config=config)
    with (
        served_api(registry=load_registry(())) as api,
        whole.Client(base_url=f"http://127.0.0.1:{api.port}", httpx_args={"trust_env": False}) as client,
    ):
        workflow = models.Workflow(name="Sum", nodes=[node])
        created = calls["create_execution"](client=client, body=workflow, x_correlation_id="c-1")
        assert (created.status, created.correlation_id) == (models.ExecutionStatus.PENDING, "c-1")
        started = calls["trigger_execution"](created.execution_id, client=client)
        assert (started.status, started.run) == (models.ExecutionStatus.RUNNING, 1)
        api.store.finish(created.execution_id, {"sum": msgspec.Raw(b'{"result":42}')})
        shown = calls["show_execution"](created.execution_id, client=client)
        assert [at.status for at in shown.nodes] == [models.NodeStatus.COMPLETED]
        results = calls["show_results"](created.execution_id, client=client).results
        assert results["sum"] == {"result": 42}
        assert calls["show_health"](client=client).status == models.HealthStatus.OK
        refused = calls["trigger_execution"](created.execution_id, client=client)
        assert (type(refused), refused.code) == (models.Problem, "wrong_state")
        unknown = calls["show_results"]("nobody", client=client)
        assert (unknown.status, unknown.code) == (404, "execution_not_found")
        wrong = calls["create_execution"](client=client, body=models.Workflow(name="Bad", nodes=[node, node]))
        assert wrong.problems[0].pointer == "/nodes/1/id"
        api.store.broken = RuntimeError("unforeseen")
        assert calls["show_execution"]("x", client=client).code == "internal_error"
