"""The examples of the OpenAPI document are compared word for word with the API's responses."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from flowengine.api.routes.executions import (
    create_execution,
    list_executions,
    show_execution,
    show_graph,
    show_results,
    trigger_execution,
)
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.history import list_events, list_runs
from flowengine.api.routes.nodes import show_node
from flowengine.api.routes.operations import dead_letters
from flowengine.api.routes.service import show_health
from flowengine.api.routes.starting import validate_workflow
from flowengine.api.routes.steering import rerun_execution
from flowengine.settings import Settings
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply, json_reply, serving
from tests.support.waiting import wait_until

DOCUMENTED = "https://api.example.com"
VOLATILE = re.compile(r"(^seconds|_at|_s|correlation_id|headers|length|consumers)$")
JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
MALFORMED = '{"name": "Analyse a user",\n "nodes": [}'
MISSPELLED = """\
name: Analyse a user
nodes:
  - id: fetch_data
    handler: call_external_service
    config: {url: "https://api.example.com/users/123"}
  - id: analyze_with_llm
    handler: llm_servce
    config: {prompt: "Analyze this user data: {{ fetch_data.result }}"}
    dependencies: [fetch_data]
"""


@pytest.fixture(scope="module")
def seen_running() -> threading.Event:
    """Set once a node was seen running. The language model does not answer before."""
    return threading.Event()


@pytest.fixture(scope="module")
def service(seen_running: threading.Event) -> Iterator[HttpServer]:
    """What the examples call: a service that answers, one that fails, and a language model."""
    with serving() as server:
        server.answers("/fine/users/123", json_reply({"id": 123, "name": "Ada"}))
        server.answers("/broken/users/123", Reply(status=500))
        results = msgspec.json.decode(show_results.COMPLETED.results["analyze_with_llm"])
        answer = {"message": {"content": results["content"]}, "finish_reason": "stop"}
        reply = json_reply({"model": results["model"], "choices": [answer], "usage": results["usage"]})
        server.answers("/v1/chat/completions", msgspec.structs.replace(reply, until=seen_running))
        yield server


@pytest.fixture(scope="module")
def example_stack(service: HttpServer) -> Iterator[Stack]:
    """A stack whose language model answers once `seen_running` is set."""
    settings = {
        "FLOWENGINE_RETRY_BASE_SECONDS": "0.05",
        "LLM_BASE_URL": service.url("/v1"),
        "LLM_API_KEY": "key-of-the-tests",
    }
    with running_stack(settings=settings) as stack:
        yield stack


class Asked:
    """One execution of the example workflow, and answers about it in the examples' own names."""

    def __init__(self, stack: Stack, service: HttpServer, kind: str) -> None:
        self._stack = stack
        self._service = service.url(f"/{kind}")
        document = msgspec.json.encode(example.WORKFLOW).decode().replace(DOCUMENTED, self._service)
        self.created = stack.client.post(
            "/workflow",
            content=document.encode(),
            headers={**JSON, "X-Correlation-ID": example.CORRELATION_ID},
        )
        self.id = self.created.json()["execution_id"]

    def told(self, response: httpx.Response) -> Any:
        """The response, with the example's address and id in place of this test's."""
        text = response.text.replace(self._service, DOCUMENTED).replace(self.id, example.ID)
        return told(msgspec.json.decode(text))

    def get(self, suffix: str = "") -> Any:
        return self.told(self._stack.client.get(f"/workflows/{self.id}{suffix}"))

    def trigger(self) -> Any:
        return self.told(self._stack.client.post(f"/workflow/trigger/{self.id}"))

    def rerun(self, body: object) -> Any:
        return self.told(self._stack.client.post(f"/workflows/{self.id}/rerun", json=body))

    def await_node(self, number: int, status: str) -> None:
        wait_until(lambda: self.get()["nodes"][number]["status"] == status, what=status, within_s=30)


def told(value: Any) -> Any:
    """A JSON value. Whatever differs from run to run is replaced by its type."""
    if isinstance(value, dict):
        return {
            name: type(item).__name__ if VOLATILE.search(name) else told(item) for name, item in value.items()
        }
    return [told(item) for item in value] if isinstance(value, list) else value


def placeless(page: Any) -> Any:
    """A page without what says where in the stream its items stand, and when."""
    items = [{name: item[name] for name in item if name not in ("id", "at")} for item in page["items"]]
    return items, page["next_cursor"] is not None


def shown(view: object) -> Any:
    """An example in the same form."""
    return told(msgspec.json.decode(msgspec.json.encode(view)))


def test_examples_of_an_execution_that_completes(
    example_stack: Stack, service: HttpServer, seen_running: threading.Event
) -> None:
    """Created, triggered, running, completed, its results, and a second trigger, which is refused."""
    asked = Asked(example_stack, service, "fine")
    assert asked.told(asked.created) == shown(create_execution.CREATED)
    assert asked.get("/nodes/analyze_with_llm") == shown(show_node.PENDING)
    assert asked.trigger() == shown(trigger_execution.TRIGGERED)
    asked.await_node(1, "running")
    assert asked.get() == shown(show_execution.RUNNING)
    seen_running.set()
    asked.await_node(1, "completed")
    wait_until(lambda: asked.get()["status"] == "completed", what="the end")
    assert asked.get() == shown(show_execution.COMPLETED)
    wanted = {"status": "completed", "label": "team:customers"}
    assert asked.told(example_stack.client.get("/workflows", params=wanted)) == shown(list_executions.PAGE)
    assert asked.get("/results") == shown(show_results.COMPLETED)
    assert asked.get("/nodes/fetch_data") == shown(show_node.COMPLETED)
    assert asked.get("/graph") == shown(show_graph.DRAWN)
    checked = example_stack.client.post("/validate", json=example.WORKFLOW)
    assert checked.json() == shown(validate_workflow.VALID)
    assert placeless(asked.get("/events?limit=3")) == placeless(shown(list_events.PAGE))
    assert asked.trigger() == documented(example_stack, "/workflow/trigger/{execution_id}", "wrong_state")
    assert asked.rerun({"mode": "all", "preview": True}) == shown(rerun_execution.PREVIEWED)
    assert asked.rerun({"from": ["analyze_with_llm"]}) == shown(rerun_execution.BEGUN)
    wait_until(lambda: asked.get()["status"] == "completed", what="the end of the rerun")
    assert asked.get("/runs") == shown(list_runs.PAGE)


def test_examples_of_an_execution_that_fails(example_stack: Stack, service: HttpServer) -> None:
    """The errors have the codes, texts and tries that a failing service really gives."""
    asked = Asked(example_stack, service, "broken")
    asked.trigger()
    wait_until(lambda: asked.get()["status"] == "failed", what="the failure", within_s=30)
    assert asked.get() == shown(show_execution.FAILED)
    assert asked.get("/results") == shown(show_results.FAILED)
    assert asked.get("/nodes/fetch_data") == shown(show_node.FAILED)


def test_examples_of_health(example_stack: Stack) -> None:
    """The parts are those of a stack without handlers of the user's own."""
    health = told(example_stack.client.get("/health").json())
    assert health["status"] == "ok"
    assert health["checks"] == show_health.HEALTHY.checks
    assert health["queues"].keys() == show_health.HEALTHY.queues.keys()


Ask = Callable[[httpx.Client], httpx.Response]
REFUSALS: list[tuple[str, str, Ask]] = [
    ("/workflow", "malformed_document",
     lambda client: client.post("/workflow", content=MALFORMED.encode(), headers=JSON)),
    ("/workflow", "invalid_workflow",
     lambda client: client.post("/workflow", content=MISSPELLED.encode(), headers=YAML)),
    ("/workflow", "unsupported_media_type",
     lambda client: client.post("/workflow", content=b"x", headers={"Content-Type": "text/plain"})),
    ("/workflow", "body_too_large",
     lambda client: client.post(
         "/workflow", content=b" " * (Settings().limits.max_yaml_bytes + 1), headers=YAML)),
    ("/workflows/{execution_id}/cancel", "not_supported",
     lambda client: client.post(
         f"/workflows/{example.ID}/cancel", content=b"{}", headers={**JSON, "Idempotency-Key": "1"})),
    ("/workflow", "unknown_parameter",
     lambda client: client.post("/workflow?wiat=30", content=b"{}", headers=JSON)),
    ("/workflow/trigger/{execution_id}", "execution_not_found",
     lambda client: client.post(f"/workflow/trigger/{example.ID}")),
    ("/dead-letters/{letter_id}/retry", "dead_letter_not_found",
     lambda client: client.post(f"/dead-letters/{dead_letters.LETTER}/retry")),
    ("/health", "misdirected_request",
     lambda client: client.get("/health", headers={"Host": "service.example"})),
    ("/workflow/trigger/{execution_id}", "cross_site_request",
     lambda client: client.post(f"/workflow/trigger/{example.ID}", headers={"Sec-Fetch-Site": "cross-site"})),
]  # fmt: skip


@pytest.mark.parametrize(("path", "kind", "ask"), REFUSALS, ids=[kind for _, kind, _ in REFUSALS])
def test_examples_of_refusals(example_stack: Stack, path: str, kind: str, ask: Ask) -> None:
    """Title, detail, instance and problems are those of a real refusal."""
    assert told(ask(example_stack.client).json()) == documented(example_stack, path, kind)


def test_nothing_is_documented_that_an_open_route_never_answers(example_stack: Stack) -> None:
    """/health is open, so it asks for no key."""
    document = example_stack.client.get("/openapi.json").json()
    assert document["paths"]["/health"]["get"]["security"] == []
    assert "401" not in document["paths"]["/health"]["get"]["responses"]


def test_times_are_times_in_the_schema(example_stack: Stack) -> None:
    """Generated clients need to know."""
    schemas = example_stack.client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["CreatedExecution"]["properties"]["created_at"]["format"] == "date-time"
    assert schemas["Node"]["properties"]["started_at"]["anyOf"][0]["format"] == "date-time"


def documented(stack: Stack, path: str, kind: str) -> Any:
    """The example of a refusal, as the document that the API serves has it."""
    document = stack.client.get("/openapi.json").json()
    (operation,) = document["paths"][path].values()
    shared = document["components"]["responses"]
    answers = (
        shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for answer in operation["responses"].values()
    )
    found = (
        content["examples"][kind]["value"]
        for answer in answers
        for content in answer["content"].values()
        if kind in content["examples"]
    )
    return told(next(found))
